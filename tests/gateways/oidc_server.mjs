// The certified OpenID provider `oidc-provider`, told on standard input what the person does.
// node oidc_server.mjs MODULE LIFETIME PORT FOLDER; what it has to keep, it keeps in the folder.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [module, lifetime, port, folder] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(module).href);
const grant = "urn:ietf:params:oauth:grant-type:device_code";
const client = { grant_types: [grant], response_types: [], redirect_uris: [] };

const file = `${folder}/store.json`;
const stored = existsSync(file) ? JSON.parse(readFileSync(file)) : {};
const every = (kind) => Object.entries(stored[kind] ?? {});
const keep = () => writeFileSync(file, JSON.stringify(stored));

// What its models are kept by: https://github.com/panva/node-oidc-provider, "adapter".
class Store {
  constructor(kind) {
    this.kind = kind;
    stored[kind] ??= {};
  }
  find = async (id) => stored[this.kind][id];
  findByUserCode = async (code) => every(this.kind).find(([, one]) => one.userCode === code)?.[1];
  async upsert(id, one) {
    stored[this.kind][id] = one;
    keep();
  }
  async consume(id) {
    stored[this.kind][id].consumed = Math.floor(Date.now() / 1000);
    keep();
  }
  async destroy(id) {
    delete stored[this.kind][id];
    keep();
  }
  async revokeByGrantId(grantId) {
    for (const [id, one] of every(this.kind)) if (one.grantId === grantId) await this.destroy(id);
  }
}

const server = createServer();
await new Promise((listens) => server.listen(Number(port), "127.0.0.1", listens));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  adapter: Store,
  clients: [
    { client_id: "tv", token_endpoint_auth_method: "none", ...client },
    { client_id: "box", client_secret: "s3cret", ...client },
  ],
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: false } },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { DeviceCode: Number(lifetime), Grant: 600, AccessToken: 600, IdToken: 600 },
});
server.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));

const told = {
  async scan({ scan, as }) {
    const code = await good(scan);
    const given = new provider.Grant({ accountId: as, clientId: code.clientId });
    given.addOIDCScope("openid");
    Object.assign(code, { accountId: as, grantId: await given.save(), scope: "openid" });
    Object.assign(code, { authTime: Math.floor(Date.now() / 1000), claims: {} });
    await code.save();
  },
  async refuse({ refuse }) {
    const code = await good(refuse);
    Object.assign(code, { error: "access_denied", errorDescription: "the person declined" });
    await code.save();
  },
  expire() {
    every("DeviceCode").at(-1)[1].exp = Math.floor(Date.now() / 1000) - 1;
    keep();
  },
  list() {
    const kinds = ["DeviceCode", "AccessToken"];
    const codes = every("DeviceCode").map(([, one]) => one.userCode.replace(/(?<=^.{4})/, "-"));
    return { codes, secrets: kinds.flatMap((kind) => every(kind).map(([id]) => id)) };
  },
};

async function good(typed) {
  const code = await provider.DeviceCode.findByUserCode(typed.replace("-", ""));
  if (code === undefined || code.isExpired || code.consumed) throw new Error("no such code is good");
  return code;
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  const [verb] = Object.keys(said);
  try {
    console.log(JSON.stringify({ done: verb, ...(await told[verb](said)) }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
