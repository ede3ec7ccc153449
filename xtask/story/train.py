"""Trains the two bearing models of the demo's default story and writes everything that goes with them.

    python -m venv /tmp/story && /tmp/story/bin/pip install -r xtask/story/requirements.txt
    /tmp/story/bin/python xtask/story/train.py FOLDER

FOLDER holds what `export_training_data` of xtask/src/story/export.rs wrote. Beside this script appear, for
versions 1.0.0 and 2.0.0, `bearing-V.onnx` (input `features` f32 [N,4] in g; outputs `score` f32 [N,1], the
mean squared error of the reconstruction in deviations, and `reconstruction` f32 [N,4] in g) and
`bearing-V.golden.npz` (16 vectors; each array is named as its tensor; outputs by onnxruntime), and for both
`reference.csv` (2,016 healthy rows) and `threshold.json`. Running the demo needs none of this again.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
FEATURES = ["bearing_1", "bearing_2", "bearing_3", "bearing_4"]
ONSET_ROW = 300
# An alarm is this many rows in a row above the threshold: an hour.
SUSTAINED_ROWS = 6
# Widths of the layers. Version 1 can follow one cause (load); version 2 has room for three.
VERSIONS = {"1.0.0": [4, 4, 1, 4, 4], "2.0.0": [4, 16, 3, 16, 4]}


def main():
    folder = Path(sys.argv[1])
    healthy = [read_csv(folder / f"healthy-{number}.csv") for number in range(8)]
    check = [read_csv(folder / f"check-{number}.csv") for number in range(16)]
    faulty = [read_csv(folder / f"faulty-{number}.csv") for number in range(4)]
    write_reference(healthy)
    thresholds = {}
    for version, widths in VERSIONS.items():
        model = build_model(version, widths, np.concatenate(healthy))
        path = HERE / f"bearing-{version}.onnx"
        onnx.save(model, path)
        write_golden(path, check, faulty)
        thresholds[version] = threshold_of(path, check)
        report(version, path, thresholds[version], check, faulty)
    text = {"sustained_rows": SUSTAINED_ROWS, "score_above": thresholds}
    (HERE / "threshold.json").write_text(json.dumps(text, indent=2) + "\n")


def read_csv(path):
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32)


def write_reference(healthy):
    """Three and a half days of each of four machines: whole days, so that each hour is in it."""
    rows = np.concatenate([machine[:504] for machine in healthy[:4]])
    np.savetxt(HERE / "reference.csv", rows, "%.6f", ",", header=",".join(FEATURES), comments="")


def build_model(version, widths, rows):
    mean = rows.mean(axis=0, dtype=np.float64)
    deviation = rows.std(axis=0, dtype=np.float64)
    layers = train((rows - mean) / deviation, widths)
    constants = {"mean": mean, "deviation": deviation}
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["standardised"]),
    ]
    value = "standardised"
    for number, (weight, bias) in enumerate(layers):
        names = [f"weight_{number}", f"bias_{number}"]
        constants |= dict(zip(names, (weight, bias)))
        nodes.append(helper.make_node("Gemm", [value, *names], [f"layer_{number}"]))
        value = f"layer_{number}"
        if is_bent(number, len(layers)):
            nodes.append(helper.make_node("Relu", [value], [f"bent_{number}"]))
            value = f"bent_{number}"
    nodes += [
        helper.make_node("Sub", ["standardised", value], ["error"]),
        helper.make_node("Mul", ["error", "error"], ["error_squared"]),
        helper.make_node("ReduceMean", ["error_squared"], ["score"], axes=[1], keepdims=1),
        helper.make_node("Mul", [value, "deviation"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["reconstruction"]),
    ]
    return finish_model(version, nodes, constants)


def finish_model(version, nodes, constants):
    graph = helper.make_graph(
        nodes,
        "bearing",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("reconstruction", TensorProto.FLOAT, ["N", 4]),
        ],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="muster")
    about = {
        "name": "bearing",
        "version": version,
        "features": json.dumps(FEATURES),
        "unit": "g",
        "trained_on": "generated vibration of eight healthy machines, a week each",
    }
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


def is_bent(number, count):
    """Every layer but the bottleneck and the last is followed by a Relu."""
    return number not in (count // 2 - 1, count - 1)


def train(rows, widths, epochs=600, batch=256):
    """Adam on the mean squared error; a fixed seed, so that a second run gives the same file."""
    rng = np.random.default_rng(7)
    layers = [
        [rng.normal(0, np.sqrt(2 / (a + b)), (a, b)), np.full(b, 0.01)]
        for a, b in zip(widths, widths[1:])
    ]
    moments = [[[np.zeros_like(p), np.zeros_like(p)] for p in layer] for layer in layers]
    step = 0
    for epoch in range(epochs):
        rate = 5e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        order = rng.permutation(len(rows))
        for start in range(0, len(rows), batch):
            step += 1
            gradients = differentiate(layers, rows[order[start : start + batch]])
            for layer, moment, gradient in zip(layers, moments, gradients):
                for part in range(2):
                    adam(layer[part], moment[part], gradient[part], rate, step)
    return layers


def differentiate(layers, rows):
    values = [rows]
    for number, (weight, bias) in enumerate(layers):
        value = values[-1] @ weight + bias
        values.append(np.maximum(value, 0) if is_bent(number, len(layers)) else value)
    flow = 2 * (values[-1] - rows) / rows.size
    gradients = []
    for number in reversed(range(len(layers))):
        if is_bent(number, len(layers)):
            flow = flow * (values[number + 1] > 0)
        gradients.append((values[number].T @ flow, flow.sum(axis=0)))
        flow = flow @ layers[number][0].T
    return gradients[::-1]


def adam(value, moment, gradient, rate, step):
    moment[0] += 0.1 * (gradient - moment[0])
    moment[1] += 0.001 * (gradient**2 - moment[1])
    first = moment[0] / (1 - 0.9**step)
    second = moment[1] / (1 - 0.999**step)
    value -= rate * first / (np.sqrt(second) + 1e-8)


def run(path, rows):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["score", "reconstruction"], {"features": rows})


def write_golden(path, check, faulty):
    """Eight healthy vectors and, of each faulty machine, one early and one late."""
    healthy = [machine[row] for machine, row in zip(check, range(40, 1000, 120))]
    sick = [machine[row] for machine in faulty for row in (330, 590)]
    rows = np.stack(healthy + sick)
    score, reconstruction = run(path, rows)
    golden = {"features": rows, "score": score, "reconstruction": reconstruction}
    np.savez_compressed(path.with_suffix(".golden.npz"), **golden)


def threshold_of(path, check):
    """Half above the highest score of sixteen healthy machines that were not learned from."""
    highest = max(run(path, machine)[0].max() for machine in check)
    return round(float(highest) * 1.5, 2)


def report(version, path, threshold, check, faulty):
    usual = np.median(np.concatenate([run(path, machine)[0] for machine in check]))
    delays = [alarm_row(run(path, machine)[0], threshold) - ONSET_ROW for machine in faulty]
    print(f"{version}: median {usual:.2f}, threshold {threshold}, alarm after rows {delays}")


def alarm_row(scores, threshold):
    """First row of the first sustained alarm."""
    above = (scores[:, 0] > threshold).astype(int)
    sums = np.convolve(above, np.ones(SUSTAINED_ROWS, int), "valid")
    return int(np.argmax(sums == SUSTAINED_ROWS)) if SUSTAINED_ROWS in sums else sys.maxsize


if __name__ == "__main__":
    main()
