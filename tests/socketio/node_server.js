// A server as services on Node write it, with whichever version of socket.io it is told.
// What a client is shown depends on whom it says that it is: its "userId" is the name of a scene.
// What the server gets to know it prints, one JSON object a line.

const { Server } = require(process.argv[2]);
const http = require("http").createServer();
const say = (fact) => console.log(JSON.stringify(fact));
const options = { pingInterval: 100, pingTimeout: 2000, connectionStateRecovery: {} };
const io = Server ? new Server(http, options) : require(process.argv[2])(http, options);

const scenes = {
  success: (socket) => socket.emit("whatsapp_connected", { identity: "+49" }),
  early: (socket) => {
    socket.emit("whatsapp_qr_scanned");
    socket.emit("whatsapp_connected", { identity: "+49" });
  },
  acknowledged: (socket) =>
    socket.emit("whatsapp_connected", { identity: "+49" }, () => say({ acknowledged: true })),
  picture: (socket) =>
    socket.emit("whatsapp_connected", { identity: "+49", pictures: [Buffer.from("a"), Buffer.from("b")] }),
  bare: (socket) => socket.emit("whatsapp_connected"),
  worded: (socket) => {
    socket.emit("state", "scanned");
    io.of(socket.nsp.name).to(socket.id).emit("state", "scanned", 7);
    socket.emit("state", { state: "scanned" }, "more");
    socket.emit("state", () => {});
    setTimeout(() => socket.volatile.emit("state", "over and out"), 200); // else it may be dropped
  },
  quiet: (socket) => setTimeout(() => scenes.success(socket), 500),
  leaves: (socket) => socket.disconnect(),
  closes: (socket) => socket.disconnect(true),
  dies: (socket) => socket.conn.transport.socket._socket.destroy(),
  foreign: (socket) => {
    socket.emit("whatsapp_connected", { botId: "another", identity: "+1" });
    socket.emit("whatsapp_connected", JSON.stringify({ botId: "another", identity: "+1" }));
    scenes.success(socket);
  },
};

const refusals = {
  unauthorized: new Error("unauthorized"),
  busy: Object.assign(new Error("busy"), { data: { code: 429, retryAfter: 0.01 } }),
};

const attend = (socket) => {
  const auth = socket.handshake.auth || {};
  say({ joined: socket.nsp.name, auth, url: socket.handshake.url });
  socket.on("disconnect", (reason) => say({ gone: reason }));
  (scenes[auth.userId] || (() => {}))(socket);
};

for (const namespace of ["/", "/pairing"]) {
  io.of(namespace).use((socket, next) => next(refusals[(socket.handshake.auth || {}).userId]));
  io.of(namespace).on("connection", attend);
}
http.listen(0, "127.0.0.1", () => say({ port: http.address().port }));
