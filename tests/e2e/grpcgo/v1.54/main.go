// Builds the client against grpc-go 1.54.1.
package main

import (
	"os"

	"p11-kms/tests/e2e/grpcgo/client"
)

func main() {
	os.Exit(client.Main())
}
