"""A script that handles an order, then those whose numbers come in, each in a process it forks."""

import logging
import multiprocessing
import sys

from opentelemetry import metrics, trace

tracer = trace.get_tracer("orders")
counter = metrics.get_meter("orders").create_counter("orders.handled")
forked = multiprocessing.get_context("fork")


def order(number: int) -> None:
    with tracer.start_as_current_span("order"):
        logging.getLogger("orders").warning("order %d", number)
        counter.add(1)


order(1)
print("ready", flush=True)
for line in sys.stdin:
    child = forked.Process(target=order, args=(int(line),))
    child.start()
    child.join()
    print("done", flush=True)
