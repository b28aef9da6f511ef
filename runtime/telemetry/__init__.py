"""What happened in a run, for other tools: OpenTelemetry's spans and events, sent by OTLP."""
