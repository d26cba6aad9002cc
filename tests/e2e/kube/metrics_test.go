package kube

import "testing"

func TestHasWritten_KnowingAKeyIDIsNotWritingUnderIt(t *testing.T) {
	line := func(transformation, hash string) string {
		return `apiserver_envelope_encryption_key_id_hash_total{apiserver_id_hash="",key_id_hash="` + hash +
			`",provider_name="p11-kms",transformation_type="` + transformation + `"} 1` + "\n"
	}
	for name, c := range map[string]struct {
		metrics string
		want    bool
	}{
		"none":             {"", false},
		"only read":        {line("from_storage", "sha256:aa"), false},
		"another key_id":   {line("to_storage", "sha256:bb"), false},
		"written":          {line("from_storage", "sha256:aa") + line("to_storage", "sha256:aa"), true},
		"on another line":  {line("from_storage", "sha256:aa") + line("to_storage", "sha256:bb"), false},
		"another counter":  {`other{key_id_hash="sha256:aa",transformation_type="to_storage"} 1`, false},
		"help of the same": {"# HELP apiserver_envelope_encryption_key_id_hash_total [ALPHA]\n", false},
	} {
		if got := HasWritten(c.metrics, "sha256:aa"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
