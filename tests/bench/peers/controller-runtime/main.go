// The operator that one would write first, with controller-runtime: a Deployment, a Service and a status for each PeerModel, and nothing else. `make bench`
// measures it beside ours.
package main

import (
	"context"
	"flag"
	"os"

	"go.uber.org/zap/zapcore"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const nameLabel = "peer.modelops.dev/name"

type reconciler struct {
	client.Client
	scheme *runtime.Scheme
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var model PeerModel
	if err := r.Get(ctx, request.NamespacedName, &model); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	labels := map[string]string{nameLabel: model.Name}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: model.Name, Namespace: model.Namespace}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, deployment, func() error {
		want := model.Spec.Template.DeepCopy()
		want.Labels = labels
		want.Annotations = map[string]string{"peer.modelops.dev/digest": model.Spec.Digest}
		deployment.Labels = labels
		deployment.Spec.Replicas = &model.Spec.Replicas
		deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		// What the API server filled in stays, so that nothing is written for defaults alone.
		if deployment.Spec.Template.Annotations["peer.modelops.dev/digest"] != model.Spec.Digest {
			deployment.Spec.Template = *want
		}
		return controllerutil.SetControllerReference(&model, deployment, r.scheme)
	}); err != nil {
		return ctrl.Result{}, err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: model.Name, Namespace: model.Namespace}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, service, func() error {
		service.Labels = labels
		service.Spec.Selector = labels
		if len(service.Spec.Ports) == 0 {
			service.Spec.Ports = []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolTCP}}
		}
		return controllerutil.SetControllerReference(&model, service, r.scheme)
	}); err != nil {
		return ctrl.Result{}, err
	}
	before := model.Status.DeepCopy()
	rolledOut := deployment.Status.ObservedGeneration == deployment.Generation && deployment.Status.UpdatedReplicas == model.Spec.Replicas &&
		deployment.Status.ReadyReplicas == model.Spec.Replicas && deployment.Status.Replicas == model.Spec.Replicas
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Deploying", Message: "pods are not ready", ObservedGeneration: model.Generation}
	if rolledOut {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, "Ready", "serves"
		model.Status.Digest = model.Spec.Digest
	}
	model.Status.ObservedGeneration = model.Generation
	model.Status.ReadyReplicas = deployment.Status.ReadyReplicas
	meta.SetStatusCondition(&model.Status.Conditions, ready)
	if equality.Semantic.DeepEqual(before, &model.Status) {
		return ctrl.Result{}, nil
	}
	err := r.Status().Update(ctx, &model)
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, nil // after a conflict the newer object's event brings us back
}

func main() {
	workers := flag.Int("workers", 16, "reconciles at once")
	metrics := flag.String("metrics", "0", "address of /metrics")
	flag.Parse() // --kubeconfig comes with controller-runtime
	ctrl.SetLogger(zap.New(zap.Level(zapcore.WarnLevel)))
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	must(addToScheme(scheme))
	config := ctrl.GetConfigOrDie()
	config.QPS = -1 // the API server's own fairness is the limit, as it is ours
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: *metrics}})
	must(err)
	must(ctrl.NewControllerManagedBy(manager).For(&PeerModel{}).Owns(&appsv1.Deployment{}).Owns(&corev1.Service{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&reconciler{manager.GetClient(), scheme}))
	must(manager.Start(ctrl.SetupSignalHandler()))
}

func must(err error) {
	if err != nil {
		ctrl.Log.Error(err, "cannot start")
		os.Exit(1)
	}
}
