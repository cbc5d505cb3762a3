"""The Open Inference Protocol V2 for one scikit-learn estimator: the same requests, answers and bounds as the C++ model-server."""

import json

import numpy

MAX_ROWS = 10_000
MAX_ID = 256
DATATYPES = {"FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8", "BOOL", "BYTES"}


class ApiError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def bad(message):
    return ApiError(400, message)


def class_text(label):
    """What tells classes apart: 1, 1.0, true and "1" are one class."""
    if isinstance(label, (bool, numpy.bool_)):
        return "1" if label else "0"
    if isinstance(label, (int, float, numpy.number)):
        number = float(label)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(label, str):
        return str(label)
    raise bad("labels must be numbers, strings, true or false")


def classes_of(labels, name):
    if not isinstance(labels, list) or len(labels) > MAX_ROWS:
        raise bad(f"{name} must be a list of at most {MAX_ROWS} entries")
    return [class_text(label) for label in labels]


def _no_constant(text):
    raise bad(f"the request is not JSON: it has {text}")


def parse_object(body):
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad("the request is not JSON" + (f": {error}" if isinstance(error, ValueError) else ", it is nested too deep")) from None
    if not isinstance(document, dict):
        raise bad("the request must be a JSON object")
    return document


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _values(tensor, name, datatype):
    flat, waiting = [], [iter(tensor)]
    while waiting:
        for entry in waiting[-1]:
            if isinstance(entry, list):
                if len(waiting) > 4:
                    raise bad(f'input "{name}" has data that is nested too deep')
                waiting.append(iter(entry))
                break
            flat.append(_value(entry, name, datatype))
        else:
            waiting.pop()
    return flat


def _value(entry, name, datatype):
    if datatype == "BYTES":
        if isinstance(entry, str):
            return entry
        raise bad(f'input "{name}" has datatype BYTES and a value that is no string')
    if datatype == "BOOL":
        if isinstance(entry, bool) or (_whole(entry) and entry in (0, 1)):
            return float(entry)
        raise bad(f'input "{name}" has datatype BOOL and a value that is neither true nor false')
    whole = datatype not in ("FP64", "FP32")
    if not _whole(entry) and (whole or not isinstance(entry, float)):
        raise bad(f'input "{name}" has datatype {datatype} and a value that is no {"whole " if whole else ""}number')
    try:
        value = float(entry)
    except OverflowError:
        value = float("inf")
    if not numpy.isfinite(value):
        raise bad("the request has a number that is out of range")
    return value


def _tensor(entry):
    """(name, shape, flat values)"""
    if not isinstance(entry, dict):
        raise bad("an input must be an object")
    name, datatype, shape, data = (entry.get(field) for field in ("name", "datatype", "shape", "data"))
    if not isinstance(name, str):
        raise bad("an input's name must be a string")
    shown = name[:80]
    if datatype not in DATATYPES if isinstance(datatype, str) else True:
        raise bad(f'input "{shown}" has a datatype that is not known')
    if not isinstance(shape, list) or len(shape) not in (1, 2) or not all(_whole(size) and 1 <= size <= 1_000_000 for size in shape):
        raise bad(f'input "{shown}"\'s shape must be one or two whole numbers greater than 0')
    if not isinstance(data, list):
        raise bad(f'input "{shown}"\'s data must be a list')
    values = _values(data, shown, datatype)
    wanted = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(values) != wanted:
        raise bad(f'input "{shown}" has {len(values)} values, its shape wants {wanted}')
    return name, shape, values


class Inference:
    """A request: `rows` as an array, `id`, `outputs` (names, empty: all), `labels` (classes or None)."""

    def __init__(self, body, features):
        document = parse_object(body)
        self.id = document.get("id", "")
        if not isinstance(self.id, str) or len(self.id.encode()) > MAX_ID:
            raise bad(f"the request's id must be a string of at most {MAX_ID} bytes")
        self.rows = _rows(document.get("inputs"), features)
        self.outputs = _output_names(document.get("outputs", []))
        parameters = document.get("parameters", {})
        if not isinstance(parameters, dict):
            raise bad("parameters must be an object")
        self.labels = classes_of(parameters["labels"], "parameters.labels") if "labels" in parameters else None
        if self.labels is not None and len(self.labels) != len(self.rows):
            raise bad("parameters.labels must be one per row")


def _output_names(outputs):
    if not isinstance(outputs, list) or len(outputs) > 16:
        raise bad("outputs must be a list of at most 16")
    if not all(isinstance(output, dict) and isinstance(output.get("name"), str) for output in outputs):
        raise bad("an output must be an object with a name")
    return [output["name"] for output in outputs]


def _rows(inputs, features):
    if not isinstance(inputs, list) or not inputs:
        raise bad("the request has no inputs")
    if len(inputs) > len(features):
        raise bad("the request has more inputs than the model has features")
    tensors = [_tensor(entry) for entry in inputs]
    if len(tensors) == 1 and tensors[0][0] == "features" and "features" not in features:
        rows = _matrix(tensors[0], len(features))
    else:
        rows = _columns(tensors, features)
    if len(rows) > MAX_ROWS:
        raise bad(f"a request may have at most {MAX_ROWS} rows")
    if rows.dtype.kind not in "fiu":
        raise bad("the model takes numbers, not texts")
    return rows


def _matrix(tensor, width):
    name, shape, values = tensor
    shape = [1, *shape] if len(shape) == 1 else shape
    if shape[1] != width:
        raise bad(f'input "{name}" has rows of {shape[1]} values, the model wants {width}')
    return numpy.array(values).reshape(shape)


def _columns(tensors, features):
    by_name = {}
    for name, shape, values in tensors:
        if name not in features:
            raise bad(f'the model has no input "{name[:80]}"')
        if name in by_name:
            raise bad(f'input "{name}" is there twice')
        if len(shape) == 2 and shape[1] != 1:
            raise bad(f'input "{name}" must have the shape [n] or [n, 1]')
        by_name[name] = values
    for feature in features:
        if feature not in by_name:
            raise bad(f'input "{feature}" is missing')
    if len({len(values) for values in by_name.values()}) != 1:
        raise bad("the inputs differ in their number of rows")
    return numpy.array([by_name[feature] for feature in features]).T


def tensor_out(name, values):
    values = numpy.asarray(values)
    kind = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "INT64"}.get(values.dtype.kind, "BYTES")
    data = values.astype({"FP64": float, "INT64": int, "BYTES": str}[kind])
    return {"name": name, "shape": list(values.shape), "datatype": kind, "data": data.ravel().tolist()}


def pick(outputs, names):
    by_name = {output["name"]: output for output in outputs}
    for name in names:
        if name not in by_name:
            raise bad(f'the model has no output "{name[:80]}"')
    return [by_name[name] for name in names] if names else outputs
