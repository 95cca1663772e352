"""docs/security.md, "Supply chain and accounts": each control taken out."""

from __future__ import annotations

from tests.controls.taken_out import Change, TakenOut

LOCKED = "each Python and npm package is locked by a hash, and no lock names an address"
BILL = "the bill of materials lists all of it, and what the collector is linked from"
AUDIT = "`make audit` tells a package that nobody could be asked about from one without findings"
UPDATES = "updates are proposed for every folder with a lock"
POLICIES = "the collector's and the app's AWS policies allow writing telemetry, and nothing else"
PROVISION = (
    "so does the policy for `make provision`: what it calls, and by CloudFormation what its "
    "resources need; nothing that deletes a log group"
)

OF_BILLS = "sbom/python.cdx.json"
OF_PYTHON, OF_NPM = "requirements.txt", "services/frontend/package-lock.json"

CHAIN = "tests/security/test_supply_chain.py::"
PYTHON_HASHES = f"{CHAIN}test_each_locked_python_package_has_hashes[{OF_PYTHON}]"
PYTHON_BILL = f"{CHAIN}test_the_bills_list_each_locked_python_package_and_nothing_else[python]"
NPM_HASHES = f"{CHAIN}test_each_npm_package_has_a_hash_and_is_listed"
WRITING = (
    "tests/unit/aws/test_template.py::test_the_policies_allow_writing_telemetry_and_nothing_else"
)
ALLOWED = (
    "tests/security/test_aws_policies.py::"
    "test_the_policy_for_provisioning_allows_what_it_calls_and_nothing_else"
)
BY_CLOUDFORMATION = (
    "tests/security/test_aws_policies.py::"
    "test_the_rest_is_cloudformations_alone_and_what_its_resources_need"
)


def _another_npm_package(**entry: str) -> Change:
    """One put in, since those that are there change their hashes with each version."""
    fields = ", ".join(f'"{name}": "{value}"' for name, value in entry.items())
    packages = '"packages": {\n'
    return Change(OF_NPM, packages, f'{packages}    "node_modules/another": {{{fields}}},\n')


CASES: tuple[TakenOut, ...] = (
    TakenOut(
        LOCKED,
        "a Python package without hashes put in",
        (Change(OF_PYTHON, "\nrich==", "\nanother==1.0\nrich=="),),
        (PYTHON_HASHES,),
    ),
    TakenOut(
        LOCKED,
        "a Python package in the bill",
        (Change(OF_BILLS, '"purl": "pkg:pypi/rich@', '"purl": "pkg:pypi/another@'),),
        (PYTHON_BILL,),
    ),
    TakenOut(
        LOCKED,
        "an npm package without a hash put in",
        (_another_npm_package(version="1.0.0"),),
        (NPM_HASHES,),
    ),
    TakenOut(
        LOCKED,
        "an npm package in the bill",
        (Change("sbom/page.cdx.json", '"purl": "pkg:npm/react@', '"purl": "pkg:npm/another@'),),
        (NPM_HASHES,),
    ),
    TakenOut(
        LOCKED,
        "an address of a package in `package-lock.json`",
        (
            _another_npm_package(
                version="1.0.0", integrity="sha512-", resolved="https://packages.example/a.tgz"
            ),
        ),
        (NPM_HASHES,),
    ),
    TakenOut(
        LOCKED,
        "a registry in a lock",
        (Change(OF_PYTHON, "\nrich==", "\n--index-url https://npmmirror.example/\nrich=="),),
        (f"{CHAIN}test_no_file_names_a_registry",),
    ),
    TakenOut(
        BILL,
        "a package",
        (Change(OF_BILLS, '"purl": "pkg:pypi/flask@', '"purl": "pkg:pypi/another@'),),
        (PYTHON_BILL,),
    ),
    TakenOut(
        BILL,
        "a module",
        (
            Change(
                "sbom/collector.cdx.json",
                '"purl": "pkg:golang/go.uber.org/zap@',
                '"purl": "pkg:golang/example/zap@',
            ),
        ),
        (f"{CHAIN}test_each_module_in_the_collectors_binary_is_listed",),
    ),
    TakenOut(
        AUDIT,
        "the option",
        (Change("Makefile", "pip-audit --strict ", "pip-audit "),),
        (f"{CHAIN}test_a_package_that_nobody_was_asked_about_is_not_one_without_findings",),
    ),
    TakenOut(
        UPDATES,
        "a folder",
        (
            Change(
                ".github/dependabot.yml", ", /emulators, /collector/build, ", ", /collector/build, "
            ),
        ),
        (f"{CHAIN}test_every_folder_with_a_lock_is_kept_up_to_date",),
    ),
    TakenOut(
        POLICIES,
        "`logs:CreateLogGroup` added",
        (
            Change(
                "aws/telemetry.yaml",
                "            # Not CreateLogGroup:",
                "              - logs:CreateLogGroup\n            # Not CreateLogGroup:",
            ),
        ),
        (WRITING,),
    ),
    TakenOut(
        POLICIES,
        "every log group in the place of one",
        (
            Change(
                "aws/telemetry.yaml",
                "${AWS::AccountId}:log-group:${MetricsLogGroupName}:*",
                "${AWS::AccountId}:log-group:*",
            ),
        ),
        (WRITING,),
    ),
    TakenOut(
        PROVISION,
        "an action",
        (
            Change(
                "aws/provision-policy.json",
                '        "cloudformation:DeleteChangeSet",\n',
            ),
        ),
        (ALLOWED,),
    ),
    TakenOut(
        PROVISION,
        "one that deletes log groups added",
        (
            Change(
                "aws/provision-policy.json",
                '"logs:DeleteMetricFilter",',
                '"logs:DeleteLogGroup",\n        "logs:DeleteMetricFilter",',
            ),
        ),
        (BY_CLOUDFORMATION,),
    ),
)
