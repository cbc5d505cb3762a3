"""The Open Inference Protocol V2 for one scikit-learn estimator: the same requests, answers and bounds as the C++ model-server."""

import json

import numpy

MAX_ROWS = 10_000
MAX_ID = 256
BINARY = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "i1", "UINT64": "<u8", "UINT32": "<u4",
          "UINT16": "<u2", "UINT8": "u1"}
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


def _binary_values(taken, name, datatype, wanted):
    if datatype == "BYTES":
        raise bad("the model takes numbers, not texts")
    kind = numpy.dtype("u1" if datatype == "BOOL" else BINARY[datatype])
    if len(taken) != wanted * kind.itemsize:
        raise bad(f'input "{name}" has {len(taken)} bytes, its shape wants {wanted * kind.itemsize}')
    values = numpy.frombuffer(taken, kind).astype(float)
    if datatype == "BOOL" and values.max() > 1:
        raise bad(f'input "{name}" has datatype BOOL and a value that is neither true nor false')
    if not numpy.isfinite(values).all():
        raise bad(f'input "{name}" has a value that is no finite number')
    return values


def _binary_size(entry, name, left):
    """How many bytes behind the JSON are the input's; None: it has its data as JSON."""
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad(f'input "{name}"\'s parameters must be an object')
    size = parameters.get("binary_data_size")
    if "binary_data_size" not in parameters:
        return None
    if not _whole(size) or size < 0:
        raise bad(f'input "{name}"\'s binary_data_size must be a whole number')
    if size > left:
        raise bad(f'input "{name}"\'s binary_data_size is {size}, and {left} bytes are left behind the JSON, whose length the header '
                  "Inference-Header-Content-Length says")
    if "data" in entry:
        raise bad(f'input "{name}" has both data and binary_data_size')
    return size


def _tensor(entry, binary):
    """(name, shape, flat values); takes what is the input's from the front of `binary`, a list of one bytes object."""
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
    wanted = shape[0] * (shape[1] if len(shape) == 2 else 1)
    size = _binary_size(entry, shown, len(binary[0]))
    if size is not None:
        taken, binary[0] = binary[0][:size], binary[0][size:]
        return name, shape, _binary_values(taken, shown, datatype, wanted)
    if not isinstance(data, list):
        raise bad(f'input "{shown}"\'s data must be a list')
    values = _values(data, shown, datatype)
    if len(values) != wanted:
        raise bad(f'input "{shown}" has {len(values)} values, its shape wants {wanted}')
    return name, shape, values


class Inference:
    """A request: `rows` as an array, `id`, `outputs` (names and whether as bytes; empty: all), `binary_outputs` (of those without a word of their own),
    `labels` (classes or None). `json_length`: as text how many bytes of the body are JSON; None: all."""

    def __init__(self, body, features, json_length=None):
        text, binary = _parts(body, json_length)
        document = parse_object(text)
        self.id = document.get("id", "")
        if not isinstance(self.id, str) or len(self.id.encode()) > MAX_ID:
            raise bad(f"the request's id must be a string of at most {MAX_ID} bytes")
        self.rows = _rows(document.get("inputs"), features, binary)
        parameters = document.get("parameters", {})
        self.binary_outputs = _flag(document, "binary_data_output", False)
        self.outputs = _wanted_outputs(document.get("outputs", []), self.binary_outputs)
        self.labels = classes_of(parameters["labels"], "parameters.labels") if "labels" in parameters else None
        if self.labels is not None and len(self.labels) != len(self.rows):
            raise bad("parameters.labels must be one per row")


def _parts(body, json_length):
    """The JSON of a request, and the binary tensors behind it."""
    if json_length is None:
        return body, b""
    if not (json_length.isascii() and json_length.isdigit() and len(json_length) < 16 and int(json_length) <= len(body)):
        raise bad(f"Inference-Header-Content-Length must be a whole number of at most the {len(body)} bytes of the request")
    if int(json_length) == 0:
        raise bad("a request needs JSON that says what its binary data is")
    return body[:int(json_length)], body[int(json_length):]


def _flag(entry, name, otherwise):
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad("parameters must be an object")
    if not isinstance(parameters.get(name, False), bool):
        raise bad(f"{name} must be true or false")
    return parameters.get(name, otherwise)


def _wanted_outputs(outputs, binary):
    if not isinstance(outputs, list) or len(outputs) > 16:
        raise bad("outputs must be a list of at most 16")
    if not all(isinstance(output, dict) and isinstance(output.get("name"), str) for output in outputs):
        raise bad("an output must be an object with a name")
    return [(output["name"], _flag(output, "binary_data", binary)) for output in outputs]


def _rows(inputs, features, binary):
    if not isinstance(inputs, list) or not inputs:
        raise bad("the request has no inputs")
    if len(inputs) > len(features):
        raise bad("the request has more inputs than the model has features")
    rest = [binary]
    tensors = [_tensor(entry, rest) for entry in inputs]
    if rest[0]:
        raise bad(f"the request ends with {len(rest[0])} bytes that no input's binary_data_size names")
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


def _typed(values):
    """(datatype, the values so)"""
    values = numpy.asarray(values)
    kind = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "INT64"}.get(values.dtype.kind, "BYTES")
    return kind, values.astype({"FP64": "<f8", "INT64": "<i8", "BYTES": str}[kind])


def datatype_of(values):
    return _typed(values)[0]


def _as_bytes(kind, data):
    if kind != "BYTES":
        return data.tobytes()
    texts = (text.encode() for text in data.ravel().tolist())
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def render(outputs, wanted):
    """(the outputs of a response, the bytes behind it). `outputs`: arrays by name; `wanted`: names, and whether as bytes."""
    rendered, binary = [], []
    for name, as_bytes in wanted:
        if name not in outputs:
            raise bad(f'the model has no output "{name[:80]}"')
        kind, data = _typed(outputs[name])
        output = {"name": name, "shape": list(data.shape), "datatype": kind}
        if as_bytes:
            binary.append(_as_bytes(kind, data))
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = data.ravel().tolist()
        rendered.append(output)
    return rendered, b"".join(binary)
