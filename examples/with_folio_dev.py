#!/usr/bin/env python3
"""Folio for a test in Python: with_folio_dev.py FOLIO starts `folio dev`, uses it through client.py's functions, and ends it."""
import contextlib, re, signal, subprocess, sys, uuid
from client import call


@contextlib.contextmanager
def folio_dev(program, *arguments):
    """Runs `folio dev` on free ports, without products and with nothing left behind; gives its address."""
    ports = ["--port", "0", "--grpc-port", "0", "--ops-port", "0"]
    process = subprocess.Popen([program, "dev", "--no-seed", *ports, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            address = re.match(r"commands and queries +(http://[^/ ]+)", line)
            if address:
                yield address[1]
                break
        else:
            raise RuntimeError(f"folio dev ended with {process.wait()} before it listened")
    finally:
        # Read on: it says more, and a full pipe would hold it up.
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    if process.returncode != 0:
        raise RuntimeError(f"folio dev ended with {process.returncode}")


def main(program):
    with folio_dev(program) as folio:
        product = f"{folio}/v1/products/{uuid.uuid4()}"
        # It may still be starting: such answers say `retryable`, and `call` tries again.
        created = call("PUT", product, {
            "sku": "LAMP-1", "name": "Desk lamp", "brand": "Lumière", "category": "home/lamps",
            "price": {"minor_units": 24900, "currency": "EUR"}, "status": "listed",
        })
        # What was just written is read and found: the token waits for it.
        fresh = {"Consistency-Token": created["consistency_token"], "Prefer": "wait=20"}
        assert call("GET", product, headers=fresh)["name"] == "Desk lamp"
        found = call("GET", f"{folio}/v1/search?q=lamps", headers=fresh)
        print(f"written, read, and found {found['total']} time")


if __name__ == "__main__":
    main(*sys.argv[1:])
