package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"p11-kms/tests/e2e/plugin"
)

func results() []*Result {
	return []*Result{
		{Scenario: "1", Title: "sealed", Version: "1.37.2", Passed: true, Calls: &plugin.Calls{Wraps: 1, Unwraps: 2}},
		{Scenario: "1", Title: "sealed", Version: "1.28.15", Log: []string{"one line"}},
		{Scenario: "5", Title: "token lost", Case: "hung", Version: "1.37.2", Passed: true},
	}
}

func TestMarkdown_RowPerScenarioColumnPerVersion(t *testing.T) {
	text := Markdown(results())
	for _, line := range []string{
		"| scenario | kube-apiserver 1.37.2 | 1.28.15 |",
		"| 1. sealed | pass, 1 / 2 | **FAIL** |",
		"| 5. token lost: hung | pass |  |",
		"one line",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

func TestInsert_ReplacesOnlyWhatIsBetweenTheMarkers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + begin + "\nold\n" + end + "\nafter\n")
	if err := Insert(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := "before\n" + begin + "\nnew\n" + end + "\nafter\n"; err != nil || string(text) != want {
		t.Errorf("%v, %q", err, text)
	}
	write("no markers\n")
	if Insert(path, "new\n") == nil {
		t.Error("a document without markers was taken")
	}
}

func TestReadAll_FindsWhatWriteHasStored(t *testing.T) {
	folder := t.TempDir()
	r := New("8", "orders", "1.33.13")
	r.Case = "reboot, first"
	r.Fact("ready after %d s", 4)
	r.Quote("a\nmatch 1\nmatch 2\n", "match", 1)
	if err := r.Write(folder, true); err != nil {
		t.Fatal(err)
	}
	all, err := ReadAll(folder)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", err, all)
	}
	got := all[0]
	if !got.Passed || got.Facts[0] != "ready after 4 s" || len(got.Log) != 1 || got.Log[0] != "match 2" {
		t.Errorf("%+v", got)
	}
}
