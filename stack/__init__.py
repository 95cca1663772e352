"""The operator's command: settings → plan → runtime → vendors."""
