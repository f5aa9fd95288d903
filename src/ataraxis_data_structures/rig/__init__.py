"""Recordings without a program: a YAML file names the log and the devices that are its sources."""
