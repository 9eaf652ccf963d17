"""Estimators on counting-process rows."""
