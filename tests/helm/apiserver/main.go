// Command apiserver runs the Kubernetes API server on a loopback address, on an etcd inside the same process, until it is stopped:
// enough to ask it whether it would accept manifests (kubectl apply --dry-run=server). No controller, scheduler or node runs.
//
//	apiserver FOLDER PORT
//
// FOLDER gets the data of etcd, certificates and a kubeconfig for an administrator.
package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// token authenticates the administrator. The server listens on a loopback address only.
const token = "loopback"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: apiserver FOLDER PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(folder, port string) error {
	etcd, err := startEtcd(filepath.Join(folder, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()
	arguments, err := writeFiles(folder, port)
	if err != nil {
		return err
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append(arguments, "--etcd-servers=http://"+etcd.Clients[0].Addr().String()))
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("the API server ended with %d", code)
	}
	return nil
}

func startEtcd(folder string) (*embed.Etcd, error) {
	free := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{free}, []url.URL{free}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{free}, []url.URL{free}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, fmt.Errorf("etcd did not start within a minute")
	}
}

// writeFiles writes what the server and kubectl need, and returns the server's arguments.
func writeFiles(folder, port string) ([]string, error) {
	serviceAccounts := filepath.Join(folder, "service-accounts.key")
	if err := writeKey(serviceAccounts); err != nil {
		return nil, err
	}
	tokens := filepath.Join(folder, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://%s", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: %s}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
`, net.JoinHostPort("127.0.0.1", port), token)
	if err := os.WriteFile(filepath.Join(folder, "kubeconfig"), []byte(kubeconfig), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--bind-address=127.0.0.1", "--secure-port=" + port,
		// A loopback address cannot be an endpoint of the service `kubernetes`, which nobody calls.
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + filepath.Join(folder, "certificates"), "--token-auth-file=" + tokens,
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC",
		"--service-account-issuer=https://test.invalid", "--service-account-key-file=" + serviceAccounts,
		"--service-account-signing-key-file=" + serviceAccounts,
		// Without a controller no service account exists.
		"--disable-admission-plugins=ServiceAccount",
	}, nil
}
