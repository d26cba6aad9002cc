module p11-kms/tests/e2e/grpcgo/v1.58

go 1.21

toolchain go1.26.8

require p11-kms/tests/e2e/grpcgo/client v0.0.0

require (
	github.com/golang/protobuf v1.5.3 // indirect
	golang.org/x/net v0.12.0 // indirect
	golang.org/x/sys v0.10.0 // indirect
	golang.org/x/text v0.11.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20230711160842-782d3b101e98 // indirect
	google.golang.org/grpc v1.58.3 // indirect
	google.golang.org/protobuf v1.31.0 // indirect
)

replace p11-kms/tests/e2e/grpcgo/client => ../client
