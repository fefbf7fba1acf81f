// Waiting for a turn.  A browser opens six connections to one server, and streams hold
// theirs: uploads and streams together stay below that, or pictures would not load.

export function turns(size) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < size && waiting.length) {
      running += 1;
      waiting.shift()(() => { running -= 1; next(); });
    }
  };
  return (start) => { waiting.push(start); next(); };
}
