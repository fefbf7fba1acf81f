// A ThumbHash (evanw.github.io/thumbhash) becomes a picture of about 32 pixels: the few
// lowest frequencies of brightness, of two colour differences, and of transparency.

const SIDE = 32;

export function decode(base64) {
  const hash = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const head = header(hash);
  const channels = coefficients(hash, head);
  const ratio = head.across / head.down;
  const width = Math.round(ratio > 1 ? SIDE : SIDE * ratio);
  const height = Math.round(ratio > 1 ? SIDE / ratio : SIDE);
  const image = new ImageData(width, height);
  const columns = cosines(width);
  const rows = cosines(height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      const [l, p, q, a] = channels.map((one) => value(one, columns[x], rows[y]));
      const blue = l - (2 / 3) * p;
      const red = (3 * l - blue + q) / 2;
      // The array clamps to 0..255 by itself.
      image.data.set([255 * red, 255 * (red - q), 255 * blue, 255 * a], at);
    }
  }
  return image;
}

export function paint(canvas, base64) {
  const image = decode(base64);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function header(hash) {
  const first = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const second = hash[3] | (hash[4] << 8);
  const transparent = first >> 23 === 1;
  const landscape = second >> 15 === 1;
  const long = transparent ? 5 : 7;
  const short = second & 7;
  return {
    transparent,
    across: landscape ? long : short,
    down: landscape ? short : long,
    l: [(first & 63) / 63, ((first >> 18) & 31) / 31],
    p: [((first >> 6) & 63) / 31.5 - 1, (((second >> 3) & 63) / 63) * 1.25],
    q: [((first >> 12) & 63) / 31.5 - 1, (((second >> 9) & 63) / 63) * 1.25],
    a: transparent ? [(hash[5] & 15) / 15, (hash[5] >> 4) / 15] : [1, 0],
  };
}

function coefficients(hash, head) {
  // Four bits each, one channel after the other, behind the header.
  let at = head.transparent ? 12 : 10;
  const nibble = () => {
    const found = (hash[at >> 1] >> ((at & 1) * 4)) & 15;
    at += 1;
    return found / 7.5 - 1;
  };
  const channel = ([mean, scale], across, down) => {
    const terms = [];
    for (let cy = 0; cy < down; cy += 1) {
      for (let cx = cy ? 0 : 1; cx * down < across * (down - cy); cx += 1) {
        terms.push([cx, cy, nibble() * scale]);
      }
    }
    return { mean, terms };
  };
  return [
    channel(head.l, Math.max(3, head.across), Math.max(3, head.down)),
    channel(head.p, 3, 3),
    channel(head.q, 3, 3),
    head.transparent ? channel(head.a, 5, 5) : { mean: 1, terms: [] },
  ];
}

const cosines = (size) => Array.from({ length: size }, (_, at) =>
  Array.from({ length: 7 }, (_, wave) => Math.cos((Math.PI / size) * (at + 0.5) * wave)));

const value = ({ mean, terms }, column, row) =>
  terms.reduce((sum, [cx, cy, weight]) =>
    sum + weight * column[cx] * row[cy] * 2, mean);
