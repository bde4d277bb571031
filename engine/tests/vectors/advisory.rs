//! Vectors of `epv`, `life`, `tuner` and `fibonacci`.

use penin_engine::config::{FibonacciConfig, SearchMethod};
use penin_engine::epv::{self, Mdp, Options};
use penin_engine::fibonacci::{self, SearchError};
use penin_engine::life;
use penin_engine::num::Num;
use penin_engine::tuner::{self, Parameter, Tuner};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Function;
use crate::support::{config, field, integer, json_of, num, num_or, read, without};

pub const FUNCTIONS: &[(&str, Function)] = &[
    ("epv.solve", |i| result(epv::solve(&field(i, "mdp"), &options(i)))),
    ("epv.league", |i| {
        let mdp: Mdp = epv::league(&read(&without(i, &["gamma", "tol", "tolerance", "maxIterations"])));
        let solution = result(epv::solve(&mdp, &options(i)));
        json!({"mdp": json_of(&mdp), "solution": solution})
    }),
    (
        "epv.smoothedRate",
        |i| json!({"value": epv::smoothed_rate(i["passed"].as_u64().unwrap(), i["tried"].as_u64().unwrap())}),
    ),
    ("life.evaluate", |i| {
        json_of(&life::evaluate(&read(&without(i, &["config"])), &config(&i["config"])))
    }),
    ("tuner.run", tune),
    ("tuner.metaLoss", |i| {
        let series = |key| -> Vec<Num> { field(i, key) };
        let [time, rate] = ["convergenceTime", "gateFailureRate"].map(|key| num(i, key));
        json!({"value": tuner::meta_loss(&series("linf"), &series("caos"), time, rate)})
    }),
    (
        "fibonacci.number",
        |i| json!({"value": fibonacci::number(i["k"].as_u64().unwrap()).to_string()}),
    ),
    ("fibonacci.ttl", |i| {
        let [base, max, count] = ["base", "maxInterval", "count"].map(|key| i[key].as_u64().unwrap());
        let seconds: Vec<u64> = (1..=count).map(|k| fibonacci::ttl(k, base, max)).collect();
        json!({"seconds": seconds})
    }),
    ("fibonacci.trust", |i| {
        let radius = num(i, "radius").get().unwrap_or(f64::NAN);
        json!({"radius": fibonacci::trust(radius, num(i, "deltaLinf"), &trust_region(i))})
    }),
    ("fibonacci.search", search),
    ("fibonacci.learningRate", |i| {
        let [step, radius, harmony] = ["step", "trustRadius", "harmony"].map(|key| num(i, key));
        json_of(&fibonacci::learning_rate(step, radius, harmony, field(i, "method")))
    }),
    ("fibonacci.zeckendorf", |i| {
        let cycle = integer(i, "cycle");
        json!({"label": fibonacci::zeckendorf(num(i, "deltaLinf"), num(i, "caosPlus"), cycle)})
    }),
    (
        "fibonacci.schedule",
        |i| json!({"value": fibonacci::schedule(num(i, "alpha0"), num(i, "t"), num(i, "boost"))}),
    ),
];

fn result<T: Serialize, E: Serialize>(result: Result<T, E>) -> Value {
    result.map_or_else(|error| json_of(&error), |value| json_of(&value))
}

fn options(input: &Value) -> Options {
    let default = Options::default();
    let tolerance = input.get("tol").or(input.get("tolerance"));
    Options {
        gamma: input.get("gamma").map_or(default.gamma, read),
        tolerance: tolerance.map_or(default.tolerance, |x| x.as_f64().unwrap()),
        max_iterations: input["maxIterations"].as_u64().unwrap_or(default.max_iterations),
    }
}

fn tune(input: &Value) -> Value {
    let mut settings = config(&input["config"]).settings().tuner.clone();
    settings.warmup = input["warmup"].as_u64().unwrap_or(settings.warmup);
    settings.eta0 = input["eta0"].as_f64().unwrap_or(settings.eta0);
    settings.gradient_clip = input["gradientClip"].as_f64().unwrap_or(settings.gradient_clip);
    let parameters = input["parameters"].as_array().unwrap().iter().map(|parameter| {
        let bound = |key: &str| parameter[key].as_f64().unwrap();
        Parameter::new("p", num(parameter, "value"), bound("min"), bound("max")).unwrap()
    });
    let mut tuner = Tuner::new(parameters.collect());
    let gradients: Vec<Vec<Num>> = field(input, "gradients");
    let steps: Vec<Value> = gradients
        .iter()
        .map(|gradients| match tuner.step(gradients, &settings) {
            Ok(()) => json!({"values": tuner.parameters().iter().map(Parameter::value).collect::<Vec<_>>()}),
            Err(error) => json!({"error": error}),
        })
        .collect();
    let g2: Vec<f64> = tuner.parameters().iter().map(Parameter::g2).collect();
    json!({"steps": steps, "g2": g2, "updates": tuner.updates().to_string()})
}

fn trust_region(input: &Value) -> FibonacciConfig {
    config(&input["config"]).settings().fibonacci.clone()
}

fn search(input: &Value) -> Value {
    let method: SearchMethod = field(input, "method");
    let objective = &input["objective"];
    let number = |key: &str| objective[key].as_f64().unwrap();
    let end = |key: &str| num_or(input, key, f64::NAN).get().unwrap_or(f64::NAN);
    let (a, b, tolerance) = (end("a"), end("b"), end("tolerance"));
    let found = match objective["kind"].as_str().unwrap() {
        "quadratic" => {
            let center = number("center");
            fibonacci::search(method, |x| -((x - center) * (x - center)), a, b, tolerance)
        }
        "linear" => {
            let slope = number("slope");
            fibonacci::search(method, |x| slope * x, a, b, tolerance)
        }
        "absolute" => {
            let center = number("center");
            fibonacci::search(method, |x| -(x - center).abs(), a, b, tolerance)
        }
        "nan" => fibonacci::search(method, |_| f64::NAN, a, b, tolerance),
        other => panic!("unknown objective {other}"),
    };
    match found {
        Ok(optimum) => json_of(&optimum),
        Err(error @ (SearchError::BadInterval | SearchError::ObjectiveNonFinite)) => {
            json!({"error": error})
        }
    }
}
