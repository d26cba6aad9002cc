package kube

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

var kmsCalls = regexp.MustCompile(`(?m)^apiserver_envelope_encryption_kms_operations_latency_seconds_count` +
	`\{grpc_status_code="(\w+)",method_name="/v2\.KeyManagementService/(\w+)",[^}]*\} (\d+)$`)

// KMSCalls says how often this API server has called the plugin since it was started, by its own metrics.
func (s *APIServer) KMSCalls() (string, error) {
	metrics, err := s.Metrics()
	if err != nil {
		return "", err
	}
	var calls []string
	for _, m := range kmsCalls.FindAllStringSubmatch(metrics, -1) {
		calls = append(calls, fmt.Sprintf("%s %s %s", m[3], m[2], m[1]))
	}
	sort.Strings(calls)
	return strings.Join(calls, ", "), nil
}

// HasWritten says whether an API server with these metrics has sealed an object under the key_id of this hash.
func HasWritten(metrics, keyIDHash string) bool {
	for _, line := range strings.Split(metrics, "\n") {
		if strings.HasPrefix(line, "apiserver_envelope_encryption_key_id_hash_total{") &&
			strings.Contains(line, `key_id_hash="`+keyIDHash+`"`) &&
			strings.Contains(line, `transformation_type="to_storage"`) {
			return true
		}
	}
	return false
}
