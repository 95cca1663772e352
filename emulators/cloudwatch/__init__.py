"""CloudWatch Logs, CloudWatch, STS and CloudFormation: moto behind our own checks."""
