package plugin

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCountCalls_OnlyGCMCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spy")
	record := "36: C_EncryptInit\n[in] pMechanism->type = CKM_AES_CBC\n37: C_Encrypt\n" +
		"38: C_EncryptInit\n[in] pMechanism->type = CKM_AES_GCM\n" +
		"40: C_DecryptInit\n[in] pMechanism->type = CKM_AES_GCM\n" +
		"42: C_DecryptInit\n[in] pMechanism->type = CKM_AES_GCM\n"
	if err := os.WriteFile(path, []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	if calls, err := countCalls(path); err != nil || calls != (Calls{Wraps: 1, Unwraps: 2}) {
		t.Errorf("%v, %v", calls, err)
	}
	if calls, err := countCalls(path + ".none"); err != nil || calls != (Calls{}) {
		t.Errorf("no record: %v, %v", calls, err)
	}
}
