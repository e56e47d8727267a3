"""What our Kubernetes files set of the objects that they describe; anything else is a slip."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Named(Strict):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}


class EnvironmentFrom(Strict):
    config_map: Named | None = Field(default=None, alias="configMapRef")
    secret: Named | None = Field(default=None, alias="secretRef")


class Variable(Strict):
    name: str
    value: str


class Port(Strict):
    number: int = Field(alias="containerPort")
    name: str | None = Field(default=None, max_length=15)


class Probe(Strict):
    tcp: dict[Literal["port"], int] | None = Field(default=None, alias="tcpSocket")
    http: dict[Literal["path", "port"], str | int] | None = Field(default=None, alias="httpGet")
    exec: dict[Literal["command"], list[str]] | None = None
    period: int = Field(alias="periodSeconds")
    failures: int = Field(default=3, alias="failureThreshold")


class Mount(Strict):
    name: str
    path: str = Field(alias="mountPath", pattern="^/")


class Volume(Strict):
    name: str
    claim: dict[Literal["claimName"], str] | None = Field(
        default=None, alias="persistentVolumeClaim"
    )
    memory: dict[Literal["medium", "sizeLimit"], str] | None = Field(default=None, alias="emptyDir")


class Container(Strict):
    name: str
    image: str
    command: list[str]
    args: list[str] = []
    env: list[Variable] = []
    env_from: list[EnvironmentFrom] = Field(alias="envFrom")
    ports: list[Port] = []
    ready: Probe = Field(alias="readinessProbe")
    live: Probe | None = Field(default=None, alias="livenessProbe")
    resources: dict[Literal["requests", "limits"], dict[str, str]]
    mounts: list[Mount] = Field(default=[], alias="volumeMounts")


class PodSpec(Strict):
    containers: list[Container]
    volumes: list[Volume] = []


class Pod(Strict):
    spec: PodSpec
    metadata: dict[Literal["labels"], dict[str, str]] | None = None


class Group(Strict):
    template: Pod
    start: dict[str, str] = Field(alias="rayStartParams")
    service: str | None = Field(default=None, alias="serviceType")
    name: str | None = Field(default=None, alias="groupName")
    replicas: int = 1
    least: int = Field(default=1, alias="minReplicas")
    most: int = Field(default=1, alias="maxReplicas")


class RayClusterSpec(Strict):
    version: str = Field(alias="rayVersion")
    head: Group = Field(alias="headGroupSpec")
    workers: list[Group] = Field(alias="workerGroupSpecs")


class RayCluster(Strict):
    api: Literal["ray.io/v1"] = Field(alias="apiVersion")
    kind: Literal["RayCluster"]
    metadata: Named
    spec: RayClusterSpec


class DeploymentSpec(Strict):
    replicas: int
    selector: dict[Literal["matchLabels"], dict[str, str]]
    template: Pod


class Deployment(Strict):
    api: Literal["apps/v1"] = Field(alias="apiVersion")
    kind: Literal["Deployment"]
    metadata: Named
    spec: DeploymentSpec


class Service(Strict):
    api: Literal["v1"] = Field(alias="apiVersion")
    kind: Literal["Service"]
    metadata: Named
    spec: dict[Literal["selector", "ports"], Any]


class ConfigMap(Strict):
    api: Literal["v1"] = Field(alias="apiVersion")
    kind: Literal["ConfigMap"]
    metadata: Named
    data: dict[str, str]


class Claim(Strict):
    api: Literal["v1"] = Field(alias="apiVersion")
    kind: Literal["PersistentVolumeClaim"]
    metadata: Named
    spec: dict[Literal["accessModes", "resources"], Any]


class Server(Strict):
    name: str
    host: str
    port: int


class Workspace(Strict):
    enabled: Literal[True]
    servers: list[Server]


class Coordinator(Strict):
    enabled: Literal[True]
    type: Literal["QueuedRunCoordinator"]
    config: dict[Literal["queuedRunCoordinator"], dict[Literal["maxConcurrentRuns"], int]]


class Monitoring(Strict):
    enabled: Literal[True]
    start: int = Field(alias="startTimeoutSeconds")
    cancel: int = Field(alias="cancelTimeoutSeconds")
    poll: int = Field(alias="pollIntervalSeconds")
    free_slots: int = Field(alias="freeSlotsAfterRunEndSeconds")


class Daemon(Strict):
    coordinator: Coordinator = Field(alias="runCoordinator")
    monitoring: Monitoring = Field(alias="runMonitoring")


class Postgres(Strict):
    enabled: Literal[False]
    host: str = Field(alias="postgresqlHost")
    user: str = Field(alias="postgresqlUsername")
    database: str = Field(alias="postgresqlDatabase")


class ConfigurableClass(Strict):
    module: str
    name: str = Field(alias="class")
    config: dict[str, str]


class Launcher(Strict):
    type: Literal["CustomRunLauncher"]
    config: dict[Literal["customRunLauncher"], ConfigurableClass]


class Pools(Strict):
    limit: int = Field(alias="defaultLimit")
    granularity: Literal["op", "run"]


class Concurrency(Strict):
    enabled: Literal[True]
    pools: Pools


class DagsterValues(Strict):
    """Of Dagster's chart, by the models of its schema (helm/dagster/schema in its repository)."""

    everywhere: dict[Literal["postgresqlSecretName"], str] = Field(alias="global")
    makes_secret: Literal[False] = Field(alias="generatePostgresqlPasswordSecret")
    postgres: Postgres = Field(alias="postgresql")
    code: dict[Literal["enabled", "enableSubchart"], bool] = Field(alias="dagster-user-deployments")
    webserver: dict[Literal["workspace"], Workspace] = Field(alias="dagsterWebserver")
    daemon: Daemon = Field(alias="dagsterDaemon")
    launcher: Launcher = Field(alias="runLauncher")
    concurrency: Concurrency
    telemetry: dict[Literal["enabled"], bool]


KINDS: dict[str, type[Strict]] = {
    "RayCluster": RayCluster,
    "Deployment": Deployment,
    "Service": Service,
    "ConfigMap": ConfigMap,
    "PersistentVolumeClaim": Claim,
}
