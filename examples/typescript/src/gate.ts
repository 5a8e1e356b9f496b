// What an agent or an executor needs of a gate, over the official NATS packages:
// docs/protocol.md, in code.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, headers, nkeyAuthenticator, type Msg, type NatsConnection } from "@nats-io/transport-node";

export interface Key {
  name: string;
  role: string;
  server: string;
  seed: Uint8Array;
}

/** Reads a file that "holdpoint identity add" wrote. */
export function readKey(path: string): Key {
  const key: Key = { name: "", role: "", server: "", seed: new Uint8Array() };
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const field = /^# (name|role|server): (.*)$/.exec(line);
    if (field) key[field[1] as "name" | "role" | "server"] = field[2]!;
    else if (line.startsWith("SU")) key.seed = new TextEncoder().encode(line.trim());
  }
  if (!key.name || !key.seed.length) throw new Error(`${path} is no key file`);
  return key;
}

/** An error that the gate answers with: one of six reasons, and text for a person. */
export class Problem extends Error {
  constructor(readonly reason: string, text: string) {
    super(`${reason}: ${text}`);
  }
}

/** A record as it travels in an answer. */
export interface Copy {
  stream: string;
  seq: number;
  subject: string;
  header: Record<string, string[]>;
  body: string; // base64
}

export interface Intent {
  gateway: string;
  agent: string;
  id: string;
  action: string;
  params: unknown;
  session?: string;
  expires_in: number;
  digest: string;
}

export interface Status {
  intent: string;
  state: string;
  code?: string;
  detail?: string;
  tell?: string;
  result?: unknown;
  error?: string;
}

export class Gate {
  private constructor(readonly nc: NatsConnection, readonly key: Key) {}

  static async open(key: Key, server?: string): Promise<Gate> {
    const nc = await connect({
      servers: server ?? key.server,
      authenticator: nkeyAuthenticator(key.seed),
      inboxPrefix: `_INBOX_${key.name}`, // the only one that it may listen on
      name: key.name,
    });
    return new Gate(nc, key);
  }

  close(): Promise<void> {
    return this.nc.drain();
  }

  /** Publishes a CloudEvent and returns its sequence when the broker keeps it. */
  async publish(subject: string, type: string, id: string, body: unknown): Promise<number> {
    const h = headers();
    h.set("ce-specversion", "1.0"); // lower case: NATS compares names byte by byte
    h.set("ce-id", id);
    h.set("ce-source", `/${this.key.role}s/${this.key.name}`);
    h.set("ce-type", `dev.holdpoint.${type}`);
    const ack = JSON.parse((await this.nc.request(subject, JSON.stringify(body), { headers: h, timeout: 5000 })).string());
    if (ack.error) throw new Error(`${subject}: ${ack.error.description}`);
    if (ack.duplicate) throw new Error(`${subject}: taken for a duplicate of another message`);
    return ack.seq;
  }

  /** Asks a question, or for a claim. */
  async ask(subject: string, question: object): Promise<any> {
    const answer = JSON.parse((await this.nc.request(subject, JSON.stringify(question), { timeout: 10_000 })).string());
    if (answer.problem) throw new Problem(answer.problem.reason, answer.problem.text);
    return answer;
  }

  /** Proposes an action and returns the id of the intent. */
  async propose(action: string, params: object, reason?: string): Promise<string> {
    const id = ulid();
    await this.publish(`intents.${this.key.name}.${action}`, "intent.proposed.v1", id, { params, reason });
    return id;
  }

  /** Returns where an intent stands as soon as enough says so. A notice would only make it look sooner. */
  async until(id: string, enough: (s: Status) => boolean): Promise<Status> {
    for (;;) {
      try {
        const { status } = await this.ask(`ask.${this.key.name}.status`, { intent: id });
        if (enough(status)) return status;
      } catch (err) {
        if (!(err instanceof Problem) || err.reason !== "not_found") throw err; // not looked at yet
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Hands every released intent of a system to perform, which returns its result or throws why it failed. */
  async perform(system: string, perform: (intent: Intent, key: string) => Promise<unknown>): Promise<void> {
    const next = `hold.API.CONSUMER.MSG.NEXT.SETTLED.exec-${system}`;
    const inbox = `_INBOX_${this.key.name}.${randomBytes(8).toString("hex")}`;
    const sub = this.nc.subscribe(inbox);
    const pull = () => this.nc.publish(next, JSON.stringify({ batch: 1, expires: 5_000_000_000 }), { reply: inbox });
    pull();
    for await (const m of sub) {
      if (m.reply) await this.performOne(m, perform); // without a reply it is the broker's word, not a message
      pull();
    }
  }

  private async performOne(m: Msg, perform: (intent: Intent, key: string) => Promise<unknown>): Promise<void> {
    const [, id, agent] = m.subject.split(".");
    let claim: { settlement: Copy; grant: Copy };
    try {
      ({ claim } = await this.ask(`claims.${this.key.name}.${agent}.${id}`, { nonce: randomBytes(16).toString("hex") }));
    } catch (err) {
      const later = err instanceof Problem && err.reason === "unavailable";
      m.respond(later ? '-NAK {"delay": 2000000000}' : "+ACK");
      return;
    }
    const intent: Intent = body(claim.settlement).intent;
    if (intent.digest !== digestOf(intent)) throw new Error(`${id}: not what was approved`);
    const report: Record<string, unknown> = {
      executor: this.key.name, agent, intent: id, digest: intent.digest,
      grant: { stream: claim.grant.stream, seq: claim.grant.seq, hash: hashOf(claim.grant) },
    };
    try {
      report.result = await perform(intent, intent.digest);
      report.state = "done";
    } catch (err) {
      report.state = "failed";
      report.error = String(err);
    }
    await this.publish(`outcomes.${this.key.name}.${agent}.${id}`, "outcome.v1", randomBytes(16).toString("hex"), report);
    m.respond("+ACK");
  }
}

function body(c: Copy): any {
  return JSON.parse(Buffer.from(c.body, "base64").toString());
}

/** The digest of an intent: SHA-256 over the canonical JSON (RFC 8785) of what was asked for. */
export function digestOf(i: Intent): string {
  return sha256(canonical({
    action: i.action, agent: i.agent, cause: "", expires_in: i.expires_in, gateway: i.gateway,
    id: i.id, params: i.params, session: i.session ?? "", version: 1,
  }));
}

/** RFC 8785: what JSON.stringify writes, with sorted names. */
export function canonical(v: unknown): string {
  if (Array.isArray(v)) return `[${v.map(canonical).join(",")}]`;
  if (v === null || typeof v !== "object") return JSON.stringify(v);
  const object = v as Record<string, unknown>;
  return `{${Object.keys(object).sort().map((k) => `${JSON.stringify(k)}:${canonical(object[k])}`).join(",")}}`;
}

/** The hash of a record: subject, the headers that have a meaning, and the body, with lengths. */
export function hashOf(c: Copy): string {
  const parts: Buffer[] = [Buffer.from("holdpoint-record-v1\n")];
  const part = (s: string) => parts.push(Buffer.from(`${Buffer.byteLength(s)}:${s}\n`));
  part(c.subject);
  for (const name of Object.keys(c.header).sort()) {
    const lower = name.toLowerCase();
    if (!(lower.startsWith("ce-") && lower.length > 3) && lower !== "content-type" && lower !== "traceparent") continue;
    for (const value of c.header[name]!) {
      part(name);
      part(value);
    }
  }
  parts.push(Buffer.from("\n"), Buffer.from(c.body, "base64"));
  return sha256(Buffer.concat(parts));
}

function sha256(b: string | Buffer): string {
  return "sha256:" + createHash("sha256").update(b).digest("hex");
}

const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A fresh ULID. */
export function ulid(): string {
  let n = (BigInt(Date.now()) << 80n) | BigInt("0x" + randomBytes(10).toString("hex"));
  let id = "";
  for (let i = 0; i < 26; i++, n >>= 5n) id = digits[Number(n & 31n)] + id;
  return id;
}
