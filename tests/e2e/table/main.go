// Table prints the reports of a run as Markdown, or writes them between the markers of a document:
// table REPORT-FOLDER [DOCUMENT]
package main

import (
	"fmt"
	"os"

	"p11-kms/tests/e2e/report"
)

func run(arguments []string) error {
	if len(arguments) < 1 || len(arguments) > 2 {
		return fmt.Errorf("usage: table REPORT-FOLDER [DOCUMENT]")
	}
	results, err := report.ReadAll(arguments[0])
	if err != nil {
		return err
	}
	text := report.Markdown(results)
	if len(arguments) == 2 {
		return report.Insert(arguments[1], text)
	}
	_, err = fmt.Print(text)
	return err
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}
