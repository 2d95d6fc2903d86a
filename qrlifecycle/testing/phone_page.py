"""What a phone sees that scanned a code of the pairing server: who asks, and yes or no.

Small, without a script, and nothing is loaded from anywhere. To look at it is to have scanned; yes
and no are POSTs to the page's own address, so that it works behind any path.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

__all__ = ["HEADERS", "asking", "good_no_more", "saying"]

STYLE = """
:root { color-scheme: light dark; --paper: #f4f6f8; --card: #fff; --ink: #14202b; --soft: #51606f;
  --line: #dce2e8; --yes: #0f766e; --yes-ink: #fff; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d141b; --card: #16202a; --ink: #eaf0f5;
  --soft: #a5b3c0; --line: #4a5a69; --yes: #5eead4; --yes-ink: #06201d; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px;
  background: var(--paper); color: var(--ink); font: 18px/1.5 system-ui, sans-serif; }
main { width: min(26rem, 100%); padding: 28px; border-radius: 20px; background: var(--card);
  border: 1px solid var(--line); }
h1 { margin: 0 0 8px; font-size: 1.5rem; line-height: 1.25; }
p { margin: 8px 0; color: var(--soft); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 16px; margin: 20px 0; }
dt { color: var(--soft); }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
form { display: grid; gap: 12px; margin-top: 24px; }
button { min-height: 52px; border-radius: 14px; border: 1px solid var(--line); font: inherit;
  font-weight: 600; background: transparent; color: var(--ink); cursor: pointer; }
button[value="confirm"] { background: var(--yes); border-color: var(--yes); color: var(--yes-ink); }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
"""

DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{DIGEST}'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The address is a credential: nothing keeps it, and no other page learns of it."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <style>{style}</style>
</head>
<body>
  <main>
    <h1>{title}</h1>
{content}
  </main>
</body>
</html>
"""

QUESTION = """\
    <p>This page stands for your phone. A program wants to be paired with its account:</p>
    <dl>
      <dt>Bot</dt><dd>{bot_id}</dd>
      <dt>User</dt><dd>{user_id}</dd>
    </dl>
    <p>Say yes only if the code is on your own screen.</p>
    <form method="post">
      <button name="answer" value="confirm">Yes, pair them</button>
      <button name="answer" value="refuse">No, decline</button>
    </form>"""

SAID = {
    "paired": ("Paired", "Your screen shows it already. This page can be closed."),
    "refused": (
        "Declined",
        "Nothing was paired, and your screen says so. This page can be closed.",
    ),
    "scanned": ("Scanned", "The screen waits for your yes or no."),
}


def asking(bot_id: str, user_id: str) -> str:
    """The page that asks for yes or no."""
    return _page("Pair this bot?", QUESTION.format(bot_id=escape(bot_id), user_id=escape(user_id)))


def saying(status: str) -> str:
    """The page that says what came of the answer."""
    title, sentence = SAID[status]
    return _page(title, f"    <p>{sentence}</p>")


def good_no_more() -> str:
    """The page for a code that ran out, was replaced, or has been answered."""
    return _page(
        "This code is good no more.",
        "    <p>It ran out, or was used. Scan the one that is on the screen now.</p>",
    )


def _page(title: str, content: str) -> str:
    return PAGE.format(title=title, style=STYLE, content=content)
