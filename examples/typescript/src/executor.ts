// An executor: node dist/executor.js KEYFILE SYSTEM
// It performs what is released to it, once, and only with a grant.
import { Gate, readKey } from "./gate.js";

const [keyFile, system] = process.argv.slice(2);
if (!keyFile || !system) throw new Error("usage: executor.js KEYFILE SYSTEM");
const gate = await Gate.open(readKey(keyFile));
console.log("performing actions on", system);
await gate.perform(system, async (intent, key) => {
  // A real system is given key, to recognise a repetition by.
  console.log("performed", intent.action, JSON.stringify(intent.params), key);
  return { receipt: key.slice(7, 19) };
});
