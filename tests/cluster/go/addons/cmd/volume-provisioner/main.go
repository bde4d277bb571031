// Command volume-provisioner answers PersistentVolumeClaims of a one-node cluster with directories:
// a claim gets a directory below -root, handed out as a "local" volume bound to the node, and the
// directory is removed with the volume. Sizes are not enforced.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what a StorageClass names to use this provisioner.
const provisionerName = "penin.local/directory"

type directories struct {
	root string
	node string
}

// Provision makes the claim's directory. Any user may write to it: a pod need not set an fsGroup.
func (d *directories) Provision(_ context.Context, request controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	if selected := request.SelectedNodeName; selected != "" && selected != d.node {
		reason := fmt.Sprintf("the claim belongs to node %q and this is node %q", selected, d.node)
		return nil, controller.ProvisioningNoChange, &controller.IgnoredError{Reason: reason}
	}
	path := filepath.Join(d.root, request.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// MkdirAll's mode is cut by the umask.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return d.volume(request, path), controller.ProvisioningFinished, nil
}

func (d *directories) volume(request controller.ProvisionOptions, path string) *core.PersistentVolume {
	onThisNode := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{d.node},
	}
	reclaim := core.PersistentVolumeReclaimDelete
	if policy := request.StorageClass.ReclaimPolicy; policy != nil {
		reclaim = *policy
	}
	claim := request.PVC.Spec
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: request.PVName},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeReclaimPolicy: reclaim,
			VolumeMode:                    claim.VolumeMode,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{
				{MatchExpressions: []core.NodeSelectorRequirement{onThisNode}},
			}}},
		},
	}
}

// Delete removes a directory that Provision made, and nothing else.
func (d *directories) Delete(_ context.Context, volume *core.PersistentVolume) error {
	local := volume.Spec.Local
	if local == nil || filepath.Dir(local.Path) != d.root {
		return &controller.IgnoredError{Reason: "its path is not directly below " + d.root}
	}
	return os.RemoveAll(local.Path)
}

func run() error {
	root := flag.String("root", "", "directory on the node that holds one directory a volume")
	node := flag.String("node", os.Getenv("NODE_NAME"), "name of the node this process runs on")
	flag.Parse()
	if !filepath.IsAbs(*root) || *node == "" {
		return errors.New("-root must be an absolute path and -node must not be empty")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	backend := &directories{root: filepath.Clean(*root), node: *node}
	controller.NewProvisionController(ctx, client, provisionerName, backend, controller.LeaderElection(false)).Run(ctx)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "volume-provisioner:", err)
		os.Exit(1)
	}
}
