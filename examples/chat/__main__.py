"""
Serve the chat: THUMBLINE_URL and THUMBLINE_KEY say where its votes go, CHAT_PORT where it listens.

The collector must let its pages send: THUMBLINE_ALLOWED_ORIGINS=http://127.0.0.1:8402
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal

import thumbline

from .app import ChatSettings, create_app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = int(os.environ.get("CHAT_PORT", "8402"))
    # "granted" because whoever tries the demo knows what it is for; a product asks its users first.
    spool = os.environ.get("CHAT_SPOOL", "default")
    with thumbline.Client(app="demo-chat", training_consent="granted", pepper="demo", spool=spool) as tl:
        app = create_app(tl, ChatSettings.from_environ())
        with contextlib.suppress(KeyboardInterrupt):
            app.run("127.0.0.1", port, threaded=True)


if __name__ == "__main__":
    main()
