#!/usr/bin/env python3
"""Makes the schemas in this folder, by which kubeconform judges what the chart renders: strict, without descriptions, and of the
kinds below only. Sources are Go modules in the versions below, so it works wherever Go's proxy does: `python3 vendor.py`."""

import json
import pathlib
import subprocess

import yaml

HERE = pathlib.Path(__file__).parent
KUBERNETES = "k8s.io/kubernetes@v1.34.4"
BUILT_IN = {
    "apps": ["Deployment", "StatefulSet"],
    "autoscaling": ["HorizontalPodAutoscaler"],
    "batch": ["Job"],
    "core": ["ConfigMap", "Pod", "Service", "ServiceAccount"],
    "networking": ["Ingress", "NetworkPolicy"],
    "policy": ["PodDisruptionBudget"],
}
VERSIONS = {"autoscaling": "v2"}
CUSTOM = {
    "sigs.k8s.io/gateway-api@v1.2.1": [
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ],
    "github.com/kedacore/keda/v2@v2.17.2": [
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
    ],
    "github.com/prometheus-operator/prometheus-operator@v0.83.0": [
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ],
}
# Strimzi is no Go module: what its KafkaTopic takes, written down from its CRD.
KAFKA_TOPIC = {
    "type": "object",
    "required": ["partitions", "replicas"],
    "properties": {
        "topicName": {"type": "string"},
        "partitions": {"type": "integer", "minimum": 1},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 32767},
        "config": {"type": "object"},
    },
}


def module(name):
    told = subprocess.run(["go", "mod", "download", "-json", name], check=True, capture_output=True, text=True)
    return pathlib.Path(json.loads(told.stdout)["Dir"])


def strict(schema):
    """Without what is for readers, and closed where fields are named."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    named = schema.get("properties")
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    kept = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: strict(one) for name, one in value.items()}
        elif key not in ("description", "default", "format", "example") and not key.startswith("x-kubernetes"):
            kept[key] = strict(value)
    if isinstance(named, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def write(name, schema):
    (HERE / f"{name}.json").write_text(json.dumps(schema, separators=(",", ":")) + "\n")


def references(schema):
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from references(one)


def built_in():
    swagger = json.loads((module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text())["definitions"]
    reached, left = {}, []
    for group, kinds in BUILT_IN.items():
        version = VERSIONS.get(group, "v1")
        for kind in kinds:
            name = f"io.k8s.api.{group}.{version}.{kind}"
            left.append(name)
            prefix = {"core": "", "networking": "networking-"}.get(group, f"{group}-")
            write(f"{kind.lower()}-{prefix}{version}", {"$ref": f"definitions.json#/definitions/{name}"})
    while left:
        name = left.pop()
        if name in reached:
            continue
        # The OpenAPI document cannot say what a quantity or a port is: either.
        either = name.endswith((".Quantity", ".IntOrString"))
        reached[name] = {"type": ["string", "integer", "number"]} if either else strict(swagger[name])
        left.extend(references(reached[name]))
    write("definitions", {"definitions": reached})


def custom():
    for name, files in CUSTOM.items():
        for file in files:
            crd = yaml.safe_load((module(name) / file).read_text())["spec"]
            group = crd["group"].split(".")[0]
            for version in crd["versions"]:
                if not version["served"] or version["name"] == "v1beta1":
                    continue
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                write(f"{crd['names']['singular']}-{group}-{version['name']}", schema)
    topic = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": strict(KAFKA_TOPIC)}
    for version in ("v1", "v1beta2"):
        write(f"kafkatopic-kafka-{version}", {"type": "object", "required": ["spec"], "properties": topic, "additionalProperties": False})


built_in()
custom()
