"""Add native libraries to a bill of materials: `python -m tools.supply_chain.sbom BOM LIBRARIES`.

BOM is a CycloneDX file, which is changed in place. LIBRARIES is a file with the output of
tools.supply_chain.native_libraries. Each library becomes a component, on which the package that
contains it depends. The exit status is 1 if the result does not match CycloneDX's schema.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def add_libraries(bom: dict[str, Any], libraries: list[dict[str, str]]) -> dict[str, Any]:
    """Return the bill of materials with a component and a dependency for each library."""
    packages = {_normalized(each["name"]): each["bom-ref"] for each in bom["components"]}
    dependencies = {each["ref"]: set(each.get("dependsOn", [])) for each in bom["dependencies"]}
    components = list(bom["components"])
    for library in libraries:
        component = _component(library)
        components.append(component)
        dependencies[component["bom-ref"]] = set()
        dependencies[packages[library["package"]]].add(component["bom-ref"])
    return bom | {
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needs)} if needs else {"ref": ref}
            for ref, needs in sorted(dependencies.items())
        ],
    }


def _component(library: dict[str, str]) -> dict[str, Any]:
    crate, name = library["name"].startswith("crate "), library["name"].removeprefix("crate ")
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{library['package']}/{library['name']}@{library['version']}",
        "name": name,
        "version": library["version"],
        "purl": f"pkg:{'cargo' if crate else 'generic'}/{name}@{library['version']}",
        "properties": [
            {"name": "keylike:bundled-in", "value": library["package"]},
            {"name": "keylike:evidence", "value": library["evidence"]},
        ],
    }
    if library["licence"]:
        component["licenses"] = [{"license": {"name": library["licence"]}}]
    return component


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(bom: Path, libraries: Path) -> int:
    """Add the libraries to the file `bom` and return the exit status."""
    done = add_libraries(json.loads(bom.read_text()), json.loads(libraries.read_text()))
    text = json.dumps(done, indent=2)
    fault = JsonStrictValidator(SchemaVersion.from_version(done["specVersion"])).validate_str(text)
    if fault is not None:
        print(fault, file=sys.stderr)
        return 1
    bom.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
