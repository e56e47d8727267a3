"""The registered models of a preset in MLflow: which version is the champion, and who says so.

The alias `champion` names it. Tags of a version say why it became one, and what a person thinks.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.evaluation.gate import Judgement, Verdict
from exvideo.tracking import tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"

JUDGEMENT = "gate.person"
BEFORE = "champion.before"
"""Tag with the version that was the champion until this one became it, or empty."""

_VERDICT_TITLE = "\n## The gate's verdict\n"


@dataclass(frozen=True)
class Version:
    """A version of the registered model."""

    number: str
    run_id: str
    tags: Mapping[str, str]
    card: str

    @property
    def sha256(self) -> str:
        """Of its weights' file."""
        return self.tags["sha256"]

    @property
    def judgement(self) -> Judgement | None:
        """A person's last word about it."""
        text = self.tags.get(JUDGEMENT)
        return Judgement.model_validate_json(text) if text else None


class Registry:
    """The versions of one preset's model."""

    def __init__(self, preset: Preset) -> None:
        from mlflow import MlflowClient

        self.name = preset.tracking.experiment
        self._client = MlflowClient(tracking_uri(preset))

    def versions(self) -> list[Version]:
        """All, the newest first."""
        found = self._client.search_model_versions(f"name = '{self.name}'")
        return sorted(map(_version, found), key=lambda it: int(it.number), reverse=True)

    def version(self, number: str) -> Version:
        """One of them. Raises `InputError` where there is none of that number."""
        versions = self.versions()
        for it in versions:
            if it.number == number:
                return it
        known = ", ".join(it.number for it in versions) or "none"
        raise InputError(f"{self.name} has no version {number}; there are: {known}")

    def of_weights(self, sha256: str) -> Version:
        """The version whose weights' file has that digest. Raises `InputError`."""
        for it in self.versions():
            if it.tags.get("sha256") == sha256:
                return it
        raise InputError(
            f"{self.name} has no version with the weights {sha256[:12]}: was its entry in MLflow "
            "deleted? Materialize post_tuned_model anew to register it"
        )

    def champion(self) -> Version | None:
        """The version that the alias names."""
        from mlflow.exceptions import MlflowException

        try:
            number = self._client.get_registered_model(self.name).aliases.get(CHAMPION)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return None if number is None else self.version(str(number))

    def tell(self, version: Version, verdict: Verdict) -> None:
        """Write the gate's reasons on the version, in place of those of an earlier verdict."""
        said = f"{'passed' if verdict.passes else 'refused'}: {verdict.reason}"
        self._tag(version, "gate.verdict", said)
        card = version.card.partition(_VERDICT_TITLE)[0]
        self._client.update_model_version(
            self.name, version.number, card + _VERDICT_TITLE + verdict_table(verdict)
        )

    def promote(self, version: Version) -> None:
        """Make it the champion."""
        champion = self.champion()
        if champion is not None and champion.number == version.number:
            return
        # First: a champion without it could not be rolled back.
        self._tag(version, BEFORE, champion.number if champion else "")
        self._client.set_registered_model_alias(self.name, CHAMPION, version.number)

    def judge(self, version: Version, judgement: Judgement) -> None:
        """Write a person's word on the version; the last one counts."""
        self._tag(version, JUDGEMENT, judgement.model_dump_json())

    def lift_judgement(self, version: Version) -> None:
        """Take a person's word back: the figures decide again."""
        if version.judgement is not None:
            self._client.delete_model_version_tag(self.name, version.number, JUDGEMENT)

    def roll_back(self, reason: str) -> tuple[Version, Version]:
        """The champion's predecessor takes its place, and the gate won't take the fallen one again.

        Returns the fallen and the restored version. Raises `InputError` where there is none.
        """
        fallen = self.champion()
        if fallen is None:
            raise InputError(f"{self.name} has no champion")
        if not (before := fallen.tags.get(BEFORE)):
            raise InputError(f"version {fallen.number} is the first champion of {self.name}")
        restored = self.version(before)
        self.judge(fallen, Judgement(kind="veto", reason=reason))
        self._client.set_registered_model_alias(self.name, CHAMPION, restored.number)
        return fallen, restored

    def keep_numbers(self, version: Version, numbers: Mapping[str, object]) -> None:
        """Store an evaluation's numbers with the version: its run may go on and get others."""
        self._client.log_dict(version.run_id, dict(numbers), _numbers_file(version))

    def kept_numbers(self, version: Version) -> str | None:
        """Those numbers as JSON, None where there are none."""
        file = _numbers_file(version)
        if not self._client.list_artifacts(version.run_id, file.rpartition("/")[0]):
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(version.run_id, file, folder)).read_text()

    def _tag(self, version: Version, key: str, value: str) -> None:
        self._client.set_model_version_tag(self.name, version.number, key, value[:5000])


def verdict_table(verdict: Verdict) -> str:
    """The verdict as Markdown: its reason, and each rule with its own."""
    rows = [
        f"| {it.rule} | {'yes' if it.passed else 'no'} | {it.reason} |" for it in verdict.findings
    ]
    head = f"\n{'Passed' if verdict.passes else 'Refused'}: {verdict.reason}\n"
    return "\n".join([head, "| rule | passes | |", "|---|---|---|", *rows]) if rows else head


def _version(found: "ModelVersion") -> Version:
    return Version(str(found.version), str(found.run_id), dict(found.tags), found.description or "")


def _numbers_file(version: Version) -> str:
    return f"gate/{version.sha256[:12]}/numbers.json"
