-- Beside `dagster`, which the image makes: MLflow's runs, and who may see them.
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;
