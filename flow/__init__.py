"""From quantized network to integer graph, hardware and evidence.

train -> export -> ingest -> passes -> schedule -> build -> sim -> certify -> attack, campaign

One frozen record between stages: QONNX file, Graph, Plan, Build, Response, Certificate, Outcome.
"""
