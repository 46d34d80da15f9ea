#!/usr/bin/env python3
"""Tells which records of Folio's topic count: see docs/topic.md. The rule is `Judge`; all else is Kafka and JSON.

    consumer.py SERVERS TOPIC                       with the package confluent-kafka
    kcat -b SERVERS -C -t TOPIC -e -q -J | consumer.py - PARTITIONS
"""
import json, re, sys

WINDOW = 100_000
KEY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})/([1-9][0-9]{0,19})/(0|[1-9][0-9]{0,18})/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def murmur2(data):
    """Kafka's own hash of a key: the key here is the product id."""
    m, mask, h = 0x5BD1E995, 0xFFFFFFFF, 0x9747B28C ^ len(data)
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


class Judge:
    """Is shown every record of a partition from offset zero on, in order; says of each whether it counts."""

    def __init__(self, partitions):
        self.partitions, self.versions = partitions, {}

    def is_effective(self, partition, offset, key):
        parts = KEY.fullmatch(key or "")
        if not parts or murmur2(parts[1].encode()) % self.partitions != partition:
            return False
        product, version, basis = parts[1], int(parts[2]), int(parts[3])
        if not 0 <= offset - basis <= WINDOW or version != self.versions.get(product, 0) + 1:
            return False
        self.versions[product] = version
        return True


def from_kafka(servers, topic):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "folio-consumer-sample", "enable.auto.commit": False})
    numbers = consumer.list_topics(topic).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in numbers}
    judge = Judge(len(numbers))
    for number, end in ends.items():
        consumer.assign([TopicPartition(topic, number, 0)])
        offset = -1
        while offset + 1 < end:
            record = consumer.poll(30)
            if record is None:
                raise TimeoutError(f"partition {number}: no record after offset {offset} in 30 s, but there are {end}")
            if record.error():
                raise RuntimeError(f"partition {number}: {record.error()}")
            offset = record.offset()
            yield judge, number, offset, (record.key() or b"").decode(errors="replace")


def from_kcat(partitions):
    judge = Judge(partitions)
    for line in sys.stdin.buffer:
        record = json.loads(line.decode(errors="replace"))
        yield judge, record["partition"], record["offset"], record["key"]


if __name__ == "__main__":
    records = from_kcat(int(sys.argv[2])) if sys.argv[1] == "-" else from_kafka(*sys.argv[1:])
    for judge, partition, offset, key in records:
        if judge.is_effective(partition, offset, key):
            print(json.dumps({"partition": partition, "offset": offset, "key": key}))
