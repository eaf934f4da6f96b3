// Package alerts is what wakes the operator of the service: rules for Prometheus, by
// the four golden signals. Latency, traffic and errors are what guests notice, and
// saturation what they will notice soon. They are in shop.rules.yml, and what they do
// on some evenings is in shop.rules.test.yml. Where Prometheus finds the roles is in
// prometheus.yml.
//
// An alarm is about what somebody has to do something about, now or this week. What is
// only good to know is in the metrics, for whoever looks.
//
// In the story, the bell beside the owner's bed.
//
// Source: "Monitoring Distributed Systems" and "Practical Alerting" in Site Reliability
// Engineering (Beyer et al., 2016); "Alerting on SLOs" in The Site Reliability Workbook
// (2018), for the rates at which a budget burns.
package alerts

import _ "embed"

// Rules is shop.rules.yml, for Prometheus' rule_files.
//
//go:embed shop.rules.yml
var Rules string
