"""Settings as dataclasses in YAML files that people read and edit."""
