"""Flask, as its tutorial has it."""

import logging

from flask import Flask

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number: int) -> dict[str, int]:
    logging.getLogger("orders").warning("order %d", number)
    return {"order": number}
