// Asks the server for what stands in the run's directory; where others ask too, it comes again until it has its turn.

const AGAIN_MS = 2_000, MOST_TIMES = 30;
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// What was found, or why nothing was: { found } or { why }.
export async function lookUp(path) {
  for (let times = 0; ; times++) {
    try {
      const answer = await fetch(path);
      if (answer.ok) {
        const told = await answer.json();
        return told.why ? { why: told.why } : { found: told };
      }
      const why = (await answer.text()).trim();
      if (answer.status !== 503 || times === MOST_TIMES) return { why };
    } catch {
      return { why: "the run does not answer any more" };
    }
    await pause(AGAIN_MS);
  }
}
