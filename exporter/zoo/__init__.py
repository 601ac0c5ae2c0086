"""Architectures by name, for checkpoints that hold only weights.

An `Architecture` says under which scope its variables are published, what the weights or the user decide (`Option`),
and how its layers follow each other; a `Net` records them, and writes nothing down before weights of the same names
and shapes are there. A file of one's own reads like this, and is used as `--arch nets.py:SMALL`:

    from exporter.zoo.architecture import Architecture, Option
    from exporter.zoo.head import classify
    from exporter.zoo.rows import chain
    from exporter.zoo.style import Norm, Style

    def write(net, choices):
        x = chain(net, net.input, ["conv1_3x3 32 /2", "conv2_3x3 64", "pool 2x2 /2"])
        classify(net, x, choices.integer("classes"))

    SMALL = Architecture("small", "my network", "SmallNet", write, Style(norm=Norm(epsilon=1e-5, scale=True)),
                         options=(Option("classes", 10, "how many", "Logits/Conv2d_1c_1x1/weights"),))
"""
