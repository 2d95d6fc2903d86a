// The certified OpenID provider `oidc-provider`, told on standard input what the person does.
// node oidc_server.mjs MODULE LIFETIME
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [module, lifetime] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(module).href);
const grant = "urn:ietf:params:oauth:grant-type:device_code";
const client = { grant_types: [grant], response_types: [], redirect_uris: [] };

const server = createServer();
await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
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

for await (const line of createInterface({ input: process.stdin })) {
  const { scan, as, refuse } = JSON.parse(line);
  const code = await provider.DeviceCode.findByUserCode((scan ?? refuse).replace("-", ""));
  if (refuse) {
    Object.assign(code, { error: "access_denied", errorDescription: "the person declined" });
  } else {
    const given = new provider.Grant({ accountId: as, clientId: code.clientId });
    given.addOIDCScope("openid");
    Object.assign(code, { accountId: as, grantId: await given.save(), scope: "openid" });
    Object.assign(code, { authTime: Math.floor(Date.now() / 1000), claims: {} });
  }
  await code.save();
  console.log(JSON.stringify({ done: line }));
}
