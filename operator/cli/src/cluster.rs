//! A client with bounds, and what the API server answers in words.

use std::error::Error as _;
use std::future::Future;

use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Config};
use penin_api::values::Duration;
use serde::de::DeserializeOwned;

use crate::CommandError;
use crate::arguments::ClusterArguments;
use crate::table::plain;

/// Objects in one answer.
const PAGE: u32 = 500;
/// Most objects that are listed at all.
const MOST: usize = 20_000;

/// A cluster and a namespace in it.
pub struct Cluster {
    client: Client,
    limit: Duration,
    /// The namespace of the flags or of the context.
    pub namespace: String,
}

impl Cluster {
    /// The cluster that the flags name.
    ///
    /// # Errors
    /// When there is no usable configuration.
    pub async fn connect(arguments: &ClusterArguments) -> Result<Self, CommandError> {
        let mut config = configuration(arguments).await?;
        let limit = arguments.request_timeout.clone();
        config.connect_timeout = Some(limit.to_std());
        // Asking again is up to the person, or to the next look of a watch.
        config.default_retry = false;
        if let Some(user) = &arguments.as_user {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups = Some(arguments.as_groups.clone()).filter(|groups| !groups.is_empty());
        }
        let namespace = arguments.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| CommandError::Configuration(error.to_string()))?;
        Ok(Self {
            client,
            limit,
            namespace,
        })
    }

    /// Objects of a kind in the cluster's namespace.
    #[must_use]
    pub fn here<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind in every namespace, or of one that has none.
    #[must_use]
    pub fn everywhere<K>(&self) -> Api<K>
    where
        K: kube::Resource,
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }

    /// Waits for one answer.
    ///
    /// # Errors
    /// What the API server answers, or that it does not.
    pub async fn call<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CommandError> {
        match tokio::time::timeout(self.limit.to_std(), call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(CommandError::Api(words(&error))),
            Err(_) => Err(CommandError::TooSlow(self.limit.to_string())),
        }
    }

    /// All objects, page by page.
    ///
    /// # Errors
    /// What the API server answers, or that it does not.
    pub async fn list<K>(&self, api: &Api<K>, mut params: ListParams) -> Result<Vec<K>, CommandError>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        params.limit = Some(PAGE);
        let mut items = Vec::new();
        loop {
            let page = self.call(api.list(&params)).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(_) if items.len() >= MOST => {
                    let problem = format!("there are more than {MOST} objects; choose a namespace or a selector");
                    return Err(CommandError::Message(problem));
                }
                Some(token) => params.continue_token = Some(token),
                None => return Ok(items),
            }
        }
    }
}

async fn configuration(arguments: &ClusterArguments) -> Result<Config, CommandError> {
    let options = KubeConfigOptions {
        context: arguments.context.clone(),
        cluster: arguments.cluster.clone(),
        user: arguments.user.clone(),
    };
    let chosen = options.context.is_some() || options.cluster.is_some() || options.user.is_some();
    if let Some(path) = &arguments.kubeconfig {
        let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
        return Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|error| unusable(&error));
    }
    if let Some(merged) = of_environment().map_err(|error| unusable(&error))? {
        return Config::from_custom_kubeconfig(merged, &options)
            .await
            .map_err(|error| unusable(&error));
    }
    if chosen {
        return Config::from_kubeconfig(&options)
            .await
            .map_err(|error| unusable(&error));
    }
    Config::infer().await.map_err(|error| unusable(&error))
}

/// The files of `$KUBECONFIG` as one; those that do not exist are passed over, as kubectl does.
fn of_environment() -> Result<Option<Kubeconfig>, KubeconfigError> {
    let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let mut merged: Option<Kubeconfig> = None;
    for path in std::env::split_paths(&list).filter(|path| path.exists()) {
        let file = Kubeconfig::read_from(&path)?;
        merged = Some(match merged {
            None => file,
            Some(first) => first.merge(file)?,
        });
    }
    Ok(merged)
}

fn unusable(error: &dyn std::error::Error) -> CommandError {
    CommandError::Configuration(chain(error))
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    plain(&text)
}

/// What went wrong between here and the API server.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            let unknown_kind = status.code == 404
                && ["could not find the requested resource", "page not found"]
                    .iter()
                    .any(|text| status.message.contains(text));
            if unknown_kind {
                return "this cluster does not know the kinds of PENIN-Ω: install the operator's Helm chart, or crds/"
                    .to_owned();
            }
            let reason = Some(status.reason.as_str()).filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(|| status.code.to_string(), str::to_owned);
            plain(&format!("from the server ({reason}): {}", status.message))
        }
        kube::Error::Service(cause) => {
            format!("the API server cannot be reached: {}", chain(cause.as_ref()))
        }
        kube::Error::HyperError(_) => {
            format!("the API server cannot be reached: {}", chain(error))
        }
        kube::Error::SerdeError(cause) => format!(
            "the API server's answer cannot be read ({cause}); the operator may be newer than this program ({})",
            env!("CARGO_PKG_VERSION")
        ),
        other => other
            .source()
            .map_or_else(|| plain(&other.to_string()), |_| chain(other)),
    }
}
