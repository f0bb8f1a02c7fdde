"""Turns the table of ABI numbers into C: one ROW(expression, expected value) a line of the table."""
import sys


def expression(kind, name):
    if kind == "macro" or kind.startswith("enum "):
        return name
    if kind == "sizeof":
        return f"sizeof({name})"
    if kind == "offsetof":
        struct, field = name.split(".")
        return f"offsetof({struct}, {field})"
    raise SystemExit(f"{kind} {name}: a kind that this script does not know")


def main(table, output):
    rows = 0
    with open(table) as lines, open(output, "w") as out:
        for line in lines:
            if line.startswith("#"):
                continue
            kind, name, value = line.rstrip("\n").split("\t")
            out.write(f"ROW({expression(kind, name)}, {int(value)}L)\n")
            rows += 1
        out.write(f"ROWS({rows})\n")


main(*sys.argv[1:])
