"""A Celery worker whose broker is a folder; `python celery_app.py NUMBER` asks for an order."""

import os
import sys

from celery import Celery
from celery.utils.log import get_task_logger

folder = os.environ["BROKER_FOLDER"]
app = Celery("orders", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder,
    "data_folder_out": folder,
    "control_folder": f"{folder}/control",
}
logger = get_task_logger("orders")


@app.task(name="order")
def order(number: int) -> None:
    logger.warning("order %d", number)


if __name__ == "__main__":
    order.delay(int(sys.argv[1]))
