"""A web service in which people pair their phones: one lifecycle, and so one socket, per dialog.

    pip install -e '.[examples]' && python -m examples.web_service

It needs no account and no network: it starts a pairing server of its own, unless it is given the
URL of a real one, or a gateway in the environment. `service` is what your bot platform can do,
`streams` runs the lifecycles, `news` says what a page is told, `replicas` what several processes
share, `app` is HTTP, and `page.html`, `page.css` and `page.js` are the page.
"""
