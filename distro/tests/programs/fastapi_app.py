"""FastAPI, as its tutorial has it."""

import logging

from fastapi import FastAPI

app = FastAPI()


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    logging.getLogger("orders").warning("order %d", number)
    return {"order": number}
