"""SOQL: parsed, narrowed by indexes, evaluated."""
