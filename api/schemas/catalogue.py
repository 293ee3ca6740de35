"""Wire models of the catalogue and of the symbols."""

from datetime import date

from pydantic import BaseModel, Field

from common.catalogue.spec import IndicatorSpec, ParamValue
from common.tiers import TierName


class Parameter(BaseModel):
    name: str
    type: str = Field(description="int, float, bool, choice or source (a series of the bar or another indicator).")
    default: ParamValue
    min: int | float | None
    max: int | float | None
    choices: list[str] | None = Field(description="YYYY-MM-DD among them stands for any date.")
    unit: str | None
    description: str


class OutputSeries(BaseModel):
    name: str
    description: str
    unit: str | None = Field(description="What it is measured in; `price` means the unit of the source.")
    min: float | None = Field(description="Bound it never goes below.")
    max: float | None = Field(description="Bound it never goes above.")
    gaps: bool = Field(description="Whether rows after the lookback may have no value.")


class Indicator(BaseModel):
    name: str
    title: str
    aliases: list[str] = Field(description="Other names it may be asked by.")
    family: str
    tier: TierName
    description: str
    inputs: list[str]
    params: list[Parameter]
    outputs: list[OutputSeries]
    lookback: int = Field(description="Leading rows without a value, for the default parameters.")
    stable_period: int | None = Field(description="Rows after which the seed weighs less than 1e-6; null: always more.")
    references: list[str]

    @classmethod
    def of(cls, spec: IndicatorSpec) -> "Indicator":
        return cls(
            name=spec.name,
            title=spec.title,
            aliases=list(spec.aliases),
            family=spec.family,
            tier=spec.tier,
            description=spec.description,
            inputs=list(spec.inputs),
            params=[
                Parameter(
                    name=p.name,
                    type=p.type,
                    default=p.default,
                    min=p.min,
                    max=p.max,
                    choices=[*p.choices, *(["YYYY-MM-DD"] if p.or_date else [])] or None,
                    unit=p.unit or None,
                    description=p.description,
                )
                for p in spec.params
            ],
            outputs=[
                OutputSeries(
                    name=o.name,
                    description=o.description,
                    unit=o.unit.name or None,
                    min=o.low,
                    max=o.high,
                    gaps=o.gaps,
                )
                for o in spec.outputs
            ],
            lookback=spec.lookback(spec.defaults),
            stable_period=spec.stable_period(spec.defaults),
            references=list(spec.references),
        )


class Indicators(BaseModel):
    count: int
    engine_version: str
    indicators: list[Indicator]


class Symbol(BaseModel):
    symbol: str
    first_date: date
    last_date: date
    rows: int


class Symbols(BaseModel):
    data_version: str
    as_of: date
    count: int = Field(description="Symbols that match, on this page and all others.")
    symbols: list[Symbol]
    next_page_token: str | None
