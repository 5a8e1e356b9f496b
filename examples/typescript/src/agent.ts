// An agent: node dist/agent.js KEYFILE ACTION PARAMS
// It proposes an action, and says what became of it.
import { Gate, readKey } from "./gate.js";

const [keyFile, action, params] = process.argv.slice(2);
if (!keyFile || !action || !params) throw new Error("usage: agent.js KEYFILE ACTION PARAMS");
const gate = await Gate.open(readKey(keyFile));
const id = await gate.propose(action, JSON.parse(params), "proposed from TypeScript");
const first = await gate.until(id, () => true);
console.log(id, first.state);
const last = await gate.until(id, (s) => ["refused", "lapsed", "done", "failed"].includes(s.state));
console.log(id, last.state, JSON.stringify(last.result ?? last.code ?? last.error ?? null));
await gate.close();
