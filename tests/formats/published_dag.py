"""The example graph of the HEFT paper, in the three ways tables and graph files can say it.

Data: Topcuoglu, Hariri, Wu 2002, "Performance-Effective and Low-Complexity Task Scheduling for
Heterogeneous Computing", figure 2: ten tasks, their times on three processors, and the cost of
every edge between different processors. The paper's HEFT schedule takes 80.
"""

import io
import zipfile

TIMES = {
    "n1": (14, 16, 9),
    "n2": (13, 19, 18),
    "n3": (11, 13, 19),
    "n4": (13, 8, 17),
    "n5": (12, 13, 10),
    "n6": (13, 16, 9),
    "n7": (7, 15, 11),
    "n8": (5, 11, 14),
    "n9": (18, 12, 20),
    "n10": (21, 7, 16),
}

EDGES = (
    ("n1", "n2", 18), ("n1", "n3", 12), ("n1", "n4", 9), ("n1", "n5", 11), ("n1", "n6", 14),
    ("n2", "n8", 19), ("n2", "n9", 16), ("n3", "n7", 23), ("n4", "n8", 27), ("n4", "n9", 23),
    ("n5", "n9", 13), ("n6", "n8", 15), ("n7", "n10", 17), ("n8", "n10", 11), ("n9", "n10", 13),
)  # fmt: skip

PROCESSORS = ("P1", "P2", "P3")


def zipped(**tables):
    """Return a zip of CSV tables."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in tables.items():
            archive.writestr(f"{name}.csv", text)
    return out.getvalue()


def as_tables():
    """Return the graph and its three processors as a zip of tables."""
    header = "id," + ",".join(f"duration {p}" for p in PROCESSORS)
    operators = [f"{name},{','.join(map(str, times))}" for name, times in TIMES.items()]
    edges = [f"{a},{b},{size}" for a, b, size in EDGES]
    links = [f"{a},{b},0,1" for a in PROCESSORS for b in PROCESSORS if a != b]
    return zipped(
        operators="\n".join([header, *operators]),
        edges="\n".join(["source,target,size", *edges]),
        devices="\n".join(["id,type", *(f"{p},{p}" for p in PROCESSORS)]),
        links="\n".join(["source,target,latency,bandwidth", *links]),
    )


def as_dot():
    """Return the graph in DOT."""
    nodes = []
    for name, times in TIMES.items():
        fields = (f"duration_{p}={t}" for p, t in zip(PROCESSORS, times, strict=True))
        nodes.append(f"  {name} [{', '.join(fields)}];")
    edges = [f'  {a} -> {b} [size="{size}"];' for a, b, size in EDGES]
    return "\n".join(["digraph heft {", *nodes, *edges, "}"]).encode()


def as_graphml():
    """Return the graph in GraphML, as networkx writes it."""
    import networkx as nx

    graph = nx.DiGraph()
    for name, times in TIMES.items():
        graph.add_node(
            name, **{f"duration {p}": float(t) for p, t in zip(PROCESSORS, times, strict=True)}
        )
    graph.add_weighted_edges_from(EDGES)
    out = io.BytesIO()
    nx.write_graphml(graph, out)
    return out.getvalue()
