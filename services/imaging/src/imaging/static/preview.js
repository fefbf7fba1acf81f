// A small preview of a file that is still here, drawn before the service has seen it.

import { turns } from "/static/turns.js";

// One at a time: a large picture takes a browser a second and hundreds of megabytes.
const previews = turns(1);

export function preview(canvas, file) {
  previews((done) => draw(canvas, file).finally(done));
}

// Decoded and shrunk off the page's own thread, which an <img> of this size would block.
async function draw(canvas, file) {
  try {
    const small = await createImageBitmap(file, { resizeHeight: canvas.height });
    const scale = Math.max(canvas.width / small.width, 1);
    const [width, height] = [small.width * scale, small.height * scale];
    const [left, top] = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    canvas.getContext("2d").drawImage(small, left, top, width, height);
    canvas.classList.remove("blank");
    small.close();
  } catch {
    // Not a picture to this browser; the service says what it is.
  }
}
