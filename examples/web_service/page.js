// The page: opens a stream with the dialog, shows its news, and ends it with the dialog.
// It decides nothing. The stream is the pairing: when it ends, the socket behind it is closed.

const SILENCE = 25_000; // milliseconds; the service sends a line every 10 s
const SLEPT = 5_000; // milliseconds by which the wall clock gets ahead of the timers
const LOST = "The connection was lost. Please try again.";

const NEXT = {
  paired: "Your bot answers from this number now. This window can be closed.",
  again: "Press “Try again” for a new code.",
  final: "Trying again will not help: please ask whoever runs this service.",
};

const at = (id) => document.getElementById(id);
const dialog = at("dialog");
let stream = null; // what ends the stream, while there is one
let ends = 0; // when the code expires, in milliseconds of performance.now()
let apart = 0; // by how much the two clocks differ

// One stream from its beginning to its end

async function pair() {
  leave();
  const mine = (stream = new AbortController());
  display({ sentence: "Asking for a code." });
  let last = {};
  try {
    for await (const news of listen(mine)) {
      if (stream !== mine) return; // left, with something still on its way
      display((last = news));
    }
  } catch {
    // refused, broken or silent: shown below
  }
  if (stream !== mine) return; // left, or started again
  stream = null;
  if (last.ended) return;
  mine.abort();
  display(refusal(LOST));
}

const refusal = (sentence) => ({ state: "idle", ended: "failed", sentence, again: true });

async function* listen(controller) {
  let silence;
  const received = () => {
    clearTimeout(silence);
    silence = setTimeout(() => controller.abort(), SILENCE);
  };
  try {
    received();
    const ask = () => fetch("pair", { method: "POST", signal: controller.signal });
    let answer = await ask();
    if (answer.status === 403) answer = await ask(); // after a restart it gave another session
    if (answer.status === 503) yield refusal(await answer.text());
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      received();
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const message of messages) {
        if (message.startsWith("data: ")) yield JSON.parse(message.slice(6));
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

function leave() {
  stream?.abort();
  stream = null;
  forget();
}

// What is shown

function display(news) {
  if (news.state) light(news.state, news.socket_open);
  if (news.sentence) at("sentence").textContent = news.sentence;
  if (news.picture || news.text) show(news);
  else if (news.event === "scanned") look("scanned");
  else if (news.event !== "action_required") forget(news.ended ?? "waiting");
  const over = Boolean(news.ended);
  at("close").textContent = over ? "Close" : "Cancel";
  at("close").classList.toggle("primary", over && !news.again);
  at("again").hidden = !news.again;
  at("next").textContent = over ? NEXT[next(news)] : "";
  if (news.ended === "paired") at("paired").textContent = news.sentence;
  if (document.activeElement === document.body) at("title").focus(); // its button was hidden
}

function next({ ended, again }) {
  if (ended === "paired") return "paired";
  return again ? "again" : "final";
}

function light(state, socketOpen = false) {
  for (const picture of document.querySelectorAll("[data-state]")) {
    picture.hidden = picture.dataset.state !== state;
  }
  for (const line of document.querySelectorAll(".socket")) {
    line.textContent = socketOpen ? "One socket is open." : "No socket is open.";
    line.classList.toggle("open", socketOpen);
  }
}

function show({ picture, text, expires_in, address }) {
  if (picture) at("picture").src = `data:image/svg+xml,${encodeURIComponent(picture)}`;
  at("picture").hidden = !picture;
  at("text").textContent = text ?? "";
  at("text").hidden = !text;
  if (address) at("address").href = address;
  at("address").hidden = !address;
  at("clock").hidden = expires_in === undefined; // it is good until another comes
  if (expires_in !== undefined) {
    ends = performance.now() + expires_in * 1000;
    at("bar").max = expires_in;
  }
  look("code");
  tick();
}

function forget(then = "waiting") {
  at("picture").removeAttribute("src");
  at("address").removeAttribute("href");
  at("text").textContent = "";
  for (const id of ["picture", "text", "address", "clock"]) at(id).hidden = true;
  look(then);
}

function look(name) {
  at("frame").dataset.look = name;
  for (const id of ["clock", "address"]) at(id).hidden ||= name === "scanned";
}

// While the machine sleeps timers stand still, and the code may run out. A wall clock that was put
// right looks alike; so nothing is ended, and what there is by now is asked for.
function slept() {
  const before = apart;
  apart = Date.now() - performance.now();
  return before !== 0 && apart - before > SLEPT;
}

function tick() {
  const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
  at("bar").value = left;
  const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  at("left").textContent = left ? `${clock} left` : "The code has run out.";
}

// What the person does

at("open").addEventListener("click", () => {
  dialog.showModal();
  at("title").focus(); // not by `autofocus`: browsers look for that as the page is loaded, too
  pair();
});
at("again").addEventListener("click", pair);
at("close").addEventListener("click", () => {
  leave(); // now: the dialog says that it is closed only after it has been hidden
  dialog.close();
});
dialog.addEventListener("close", () => {
  leave();
  light("idle");
});
addEventListener("pagehide", () => {
  leave();
  dialog.close(); // the page may come back from a cache
});
setInterval(() => {
  tick();
  if (slept() && stream && at("frame").dataset.look === "code") pair();
}, 1000);
light("idle");
// On a phone the diagram is folded: the code and what is said of it come first.
for (const fold of document.querySelectorAll("details")) {
  fold.open = matchMedia("(min-width: 761px) and (min-height: 521px)").matches;
}
at("open").hidden = false; // without a script it would do nothing
